"""What the study's own logs say about each of its claims, in words that are computed from `evidence`.

Each function takes the evidence and gives one `Finding`: the claim, a verdict, and the numbers that it rests on. The
study is a course project that published its code and logs, which is what makes this reading possible at all; what is
said here is about numbers, and where the logs support a claim it says so as plainly as where they do not. "Suggested"
is what points the claim's way but not by the test that decides here; "not shown" does not mean false.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Literal

from scipy.stats import binom

from llamavid_kit.evaluation.power import clips_needed, mcnemar_power
from llamavid_kit.evaluation.resampling import balanced_permutation, metric_differences
from llamavid_kit.evaluation.scoring import NO_LABEL
from llamavid_kit.evaluation.statistics import compare_arms, holm, mcnemar_exact, wilson
from llamavid_kit.study import recount
from llamavid_kit.study.evidence import Evidence
from llamavid_kit.study.recount import interval_text, percents_text, share_text
from llamavid_kit.study.results import BY_KEY, TABLE_3_CLASSES, ZERO_SHOT_FPS6_REPORTED
from llamavid_kit.study.setup import NORMAL
from llamavid_kit.viz.plots import p_text

Verdict = Literal["holds", "holds in part", "suggested", "not shown", "cannot be checked"]
SURE, FEW, UCF_CRIME_TEST = 0.05, 10, 290
ZERO, FINE_1, FINE_6 = "zero_shot_fps1", "finetuned_fps1", "finetuned_fps6"


@dataclass(frozen=True)
class Finding:
    """A claim of the study, whether its logs carry it, and why."""

    claim: str
    verdict: Verdict
    text: str


CLAIMS: list[Callable[[Evidence], Finding]] = []
"""Every claim in the order of a reading, which is the order below: `claim` adds each."""


def claim(text: str, *needs: str) -> Callable[[Callable], Callable[[Evidence], Finding]]:
    """Makes a function that judges one claim, giving (verdict, text), into one that gives a `Finding`.

    A claim about settings without a log cannot be checked, and the finding says which.
    """

    def wrap(judge: Callable[[Evidence], tuple[Verdict, str]]) -> Callable[[Evidence], Finding]:
        @wraps(judge)
        def finding(evidence: Evidence) -> Finding:
            unlogged = [BY_KEY[key].name for key in needs if BY_KEY[key] not in evidence.logged]
            if unlogged:
                return Finding(text, "cannot be checked", f"There is no log of {' and '.join(unlogged)}.")
            return Finding(text, *judge(evidence))

        CLAIMS.append(finding)
        return finding

    return wrap


@claim("The fine-tuned columns of Tables 2 and 3 follow from the logs", FINE_1, FINE_6)
def fine_tuned_columns(evidence: Evidence) -> tuple[Verdict, str]:
    table, classes = recount.accuracies(evidence).set_index("key"), recount.per_class(evidence)
    fine = classes[classes["key"].isin([FINE_1, FINE_6]) & (classes["n"] > 0)]
    same = [_rounds(r.correct, r.n, r.published) for r in fine.itertuples()]
    right = [_rounds(*table.loc[k, ["correct", "n", "published"]], decimals=1) for k in (FINE_1, FINE_6)]
    shares = " and ".join(share_text(*table.loc[k, ["correct", "n"]]) for k in (FINE_1, FINE_6))
    text = (
        f"On the {len(evidence.common)} videos that every logged setting answered: {shares} (published "
        f"{BY_KEY[FINE_1].published}% and {BY_KEY[FINE_6].published}%), and {sum(same)} of {len(same)} cells of "
        "Table 3 agree."
    )
    verdict: Verdict = "holds" if all(same) and all(right) else "holds in part" if any(right) else "not shown"
    return verdict, text


def _rounds(k: float, n: float, percent: float, *, decimals: int = 0) -> bool:
    return int(k) in recount.possible_counts(percent, int(n), decimals=decimals)


@claim("The zero-shot columns of Tables 2 and 3 follow from the logs", ZERO)
def zero_shot_columns(evidence: Evidence) -> tuple[Verdict, str]:
    published, n = BY_KEY[ZERO].published, len(evidence.answered(ZERO))
    counts = {rule: right for rule, (right, *_) in evidence.by_rule[ZERO].items()}
    low, high = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    agrees = any(_rounds(k, n, published, decimals=1) for k in counts.values())
    possible = {
        total: recount.possible_counts(published, total, decimals=1)
        for total in dict.fromkeys((n, len(evidence.common), len(evidence.outcomes)))
    }
    sizes = evidence.answered(ZERO)["truth"].value_counts()
    odd = [
        f"{label} {share}% of {sizes[label]}"
        for label, share in zip(TABLE_3_CLASSES, BY_KEY[ZERO].classes, strict=True)
        if label in sizes and not recount.possible_counts(share, int(sizes[label]))
    ]
    none = [str(total) for total, ks in possible.items() if not ks]
    some = [f"{ks[0]} of {total}" for total, ks in possible.items() if ks]
    text = (
        f"Depending on how a reply is matched to a label, {share_text(counts[low], n)} ({low}) to "
        f"{share_text(counts[high], n)} ({high}) are right, where {published}% was published. "
    )
    if none:
        but = f"; {', '.join(some)} would be" if some else ""
        text += f"No number of videos out of {' or '.join(none)} is {published}%{but}. "
    if odd:
        text += (
            f"In Table 3 these cannot be shares of their class: {', '.join(odd)}; replies without a label may have "
            "been left out of the denominators. "
        )
    text += (
        "The numbers were made by a language model as judge, which need not follow any of these rules. An earlier "
        "reading of the study's files reports that both judge runs wrote into one folder, which held 257 older "
        "verdicts, and that all of it was averaged; the predictions can neither confirm nor exclude that."
    )
    return ("holds" if agrees else "not shown", text)


@claim("The settings are compared on the same videos")
def same_clips(evidence: Evidence) -> tuple[Verdict, str]:
    counts = {s.name: len(evidence.answered(s.key)) for s in evidence.logged}
    left_out = Counter(evidence.outcomes.drop(evidence.common.index)["truth"])
    lost = ", ".join(f"{n} {label}" for label, n in sorted(left_out.items(), key=lambda x: (-x[1], x[0])))
    text = f"Videos answered of {len(evidence.outcomes)}: {', '.join(f'{name}: {n}' for name, n in counts.items())}. "
    text += (
        "Videos with more than 1,800 sampled frames were skipped, so more frames a second meant fewer videos, without "
        f"the long ones ({lost} are not common to all). Below, arms are compared on what both answered."
        if len(set(counts.values())) > 1
        else "Every setting answered the same videos."
    )
    if not left_out:
        return "holds", text
    fine = {BY_KEY[key]: recount.arm(evidence.common, key) for key in (FINE_1, FINE_6) if key in evidence.outcomes}
    if len(fine) == 2 and all(_rounds(t.correct, t.n, s.published, decimals=1) for s, t in fine.items()):
        return "holds in part", text + " The two fine-tuned numbers that were published are shares of the common ones."
    return "not shown", text


@claim("The fine-tuned models do better than always giving the commonest answer", FINE_1, FINE_6)
def above_baseline(evidence: Evidence) -> tuple[Verdict, str]:
    rows, table = evidence.common, recount.accuracies(evidence).set_index("key")
    base, chance = recount.arm(rows, FINE_1).baseline, 1 / rows["truth"].nunique()
    constant = dict(zip(rows.index, rows["truth"] == base.label, strict=True))
    arms, above_constant, above_chance = [], [], []
    for key in (FINE_1, FINE_6):
        row = table.loc[key]
        pair = compare_arms(constant, recount.right_in(rows, key))
        above_constant.append(pair.p < SURE and pair.difference > 0)
        above_chance.append(row["balanced_accuracy"].low > chance)
        arms.append(
            f"{row['arm']} {share_text(row['correct'], row['n'])} (95% {percents_text(row['low'], row['high'])}; "
            f"{len(pair.only_b)} videos right that the constant misses, {len(pair.only_a)} the other way, p "
            f"{p_text(pair.p)}), balanced accuracy {interval_text(row['balanced_accuracy'])}"
        )
    text = (
        f'Always answering "{base.label}" is right on {share_text(base.correct, base.n)} of the same videos, '
        f"with a balanced accuracy of {chance:.3f}. {'; '.join(arms)}."
    )
    if all(above_chance):
        text += " Averaged over the classes both are far above the constant, so they did learn the classes."
    if all(above_constant):
        return "holds", text
    return "holds in part" if any(above_constant) or all(above_chance) else "not shown", text


@claim("Fine-tuning helps", ZERO, FINE_1)
def fine_tuning(evidence: Evidence) -> tuple[Verdict, str]:
    pair = recount.compare(evidence, ZERO, FINE_1)
    silent = int((evidence.answered(ZERO)[ZERO] == NO_LABEL).sum())
    p_values = [mcnemar_exact(a, b) for _, a, b in evidence.paired_by_rule[ZERO, FINE_1].values()]
    text = (
        f"At 1 fps, on {pair.n} videos: {len(pair.only_b)} only the fine-tuned model got right, {len(pair.only_a)} "
        f"only the other (exact McNemar p {p_text(pair.p)}), and of the ways to match replies the least favourable "
        f"gives p = {max(p_values):.2g}. Part of it is the form of the answer: {silent} "
        "zero-shot replies are sentences or other words, which exact matching counts as wrong."
    )
    return ("holds" if max(pair.p, *p_values) < SURE else "not shown", text)


@claim("With fine-tuning, 6 frames a second give more right answers than 1", FINE_1, FINE_6)
def more_frames(evidence: Evidence) -> tuple[Verdict, str]:
    pair, rows = recount.compare(evidence, FINE_1, FINE_6), evidence.answered(FINE_1, FINE_6)
    a, b = len(pair.only_a), len(pair.only_b)
    truths = list(rows["truth"])
    first, second = (recount.answers_of(rows, key) for key in (FINE_1, FINE_6))
    balanced = metric_differences(truths, first, second, labels=TABLE_3_CLASSES)["balanced_accuracy"]
    p_balanced = balanced_permutation(truths, first, second)
    (low, high), adjusted = pair.interval95, holm([pair.p, p_balanced])[1]
    mid_p = pair.p - (binom.pmf(min(a, b), a + b, 0.5) if a != b else 0)
    text = (
        f"On the same {pair.n} videos {b} only the 6-fps model got right and {a} only the 1-fps model: "
        f"{100 * pair.difference:+.1f} points, 95% interval {100 * low:+.1f} to {100 * high:+.1f}, exact McNemar p "
        f"{p_text(pair.p)} (its less cautious mid-p form: {mid_p:.3f}). By balanced accuracy, which the study did not "
        f"report, it is {balanced.value:+.3f} [{balanced.low:+.3f}, {balanced.high:+.3f}], p {p_text(p_balanced)} by "
        f"permutation, {adjusted:.3f} by Holm for two metrics; classes of two videos weigh heavily there. "
    )
    if a != b:
        n, power = clips_needed(a / pair.n, b / pair.n), mcnemar_power(pair.n, a / pair.n, b / pair.n)
        text += (
            f"If these shares were the true ones, {pair.n} videos would have shown the difference {power:.0%} of the "
            f"time; 80% needs {n} videos, where UCF-Crime's test set has {UCF_CRIME_TEST}."
        )
    hints = b > a and (low > 0 or (adjusted < SURE and balanced.value > 0))
    return "holds" if pair.p < SURE and b > a else "suggested" if hints else "not shown", text


@claim("Without fine-tuning, more frames change little")
def more_frames_zero_shot(evidence: Evidence) -> tuple[Verdict, str]:
    key = "zero_shot_fps6"
    if BY_KEY[key] in evidence.logged and BY_KEY[ZERO] in evidence.logged:
        pair = recount.compare(evidence, ZERO, key)
        low, high = pair.interval95
        text = f"{len(pair.only_b)} against {len(pair.only_a)} videos of {pair.n}, p {p_text(pair.p)}, 95% interval "
        return ("not shown", text + f"{100 * low:+.1f} to {100 * high:+.1f} points.")
    (k, n), (other, _) = ZERO_SHOT_FPS6_REPORTED
    text = (
        "There is no log of zero-shot, 6 fps here. What is reported of it: two runs of the very same setting, sampled "
        f"at temperature 0.2 without a seed, gave {share_text(k, n)} and {share_text(other, n)}. A "
        "difference between two settings that is no larger than between two runs of one cannot be told from chance."
    )
    return "cannot be checked", text


@claim("Without fine-tuning the model calls anomalies Abuse or Road Accident", ZERO)
def bias(evidence: Evidence) -> tuple[Verdict, str]:
    rows = evidence.answered(ZERO)
    alarms = rows[(rows["truth"] != NORMAL) & ~rows[ZERO].isin([NORMAL, NO_LABEL])]
    favourites = alarms[alarms[ZERO].isin(["Abuse", "Road Accident"])]
    k, right = len(favourites), int((favourites[ZERO] == favourites["truth"]).sum())
    binary = recount.arm(rows, ZERO, binary=True)
    text = (
        f"Of {len(alarms)} anomalies that it called one, {k} were called Abuse or Road Accident, {right} of them "
        f"rightly. Anomaly or not: {share_text(binary.correct, binary.n)} right, balanced accuracy "
        f"{binary.balanced_accuracy:.3f}, with {binary.no_label} replies that name no label."
    )
    most = len(alarms) and wilson(k, len(alarms))[0] > 0.5
    return ("holds" if most else "not shown", text)


@claim("Accuracy class by class shows where more frames help", FINE_1, FINE_6)
def small_classes(evidence: Evidence) -> tuple[Verdict, str]:
    table = recount.per_class(evidence)
    classes = table[(table["key"] == FINE_6) & (table["n"] > 0)].set_index("class")
    small = classes[classes["n"] < FEW]
    sizes = ", ".join(f"{name} {n:.0f}" for name, n in small["n"].items())
    text = f"{len(small)} of {len(classes)} classes have fewer than {FEW} videos ({sizes}). "
    if "Assault" in classes.index:
        row = classes.loc["Assault"]
        low_to_high = percents_text(row["low"], row["high"])
        text += f"Assault at 6 fps is {row['correct']:.0f} of {row['n']:.0f}, 95% {low_to_high}. "
    rows = evidence.answered(FINE_1, FINE_6)
    rows = rows[rows["truth"] != NORMAL]
    one, six = (recount.right_in(rows, key) for key in (FINE_1, FINE_6))
    if one:
        pair = compare_arms(one, six)
        text += (
            f"All anomalies together, which is the surer look: {sum(one.values())} and {sum(six.values())} of {pair.n} "
            f"right, {len(pair.only_b)} only at 6 fps, {len(pair.only_a)} only at 1 fps, p {p_text(pair.p)}."
        )
    return ("not shown" if len(small) else "holds in part", text)


@claim("6 frames a second see brief events that 1 frame a second misses", FINE_1, FINE_6)
def missed_events(evidence: Evidence) -> tuple[Verdict, str]:
    at_1 = next(point for point in evidence.curve if point.fps == 1)
    rows = evidence.answered(FINE_1, FINE_6)
    anomalies = rows[rows["truth"] != NORMAL]
    n_normal_1, n_normal_6 = (int((anomalies[key] == NORMAL).sum()) for key in (FINE_1, FINE_6))
    gains = anomalies[(anomalies[FINE_1] != anomalies["truth"]) & (anomalies[FINE_6] == anomalies["truth"])]
    halves = "; ".join(
        f"{r.half} half ({r.shortest_s:.1f} to {r.longest_s:.1f} s annotated) {r.first:.0f} → {r.second:.0f} of {r.n}"
        for r in evidence.halves.dropna().itertuples()
    )
    text = (
        f"At 1 fps {at_1.n_visible} of {at_1.n} videos with an annotated event have a sampled frame of it "
        f"({evidence.event_source}). Anomalies that were called normal: {n_normal_1} at 1 fps, {n_normal_6} at 6 fps, "
        f"of {len(anomalies)}. Of the {len(gains)} anomalies that only the 6-fps model names, the 1-fps model had "
        f"noticed {(gains[FINE_1] != NORMAL).sum()} and named another class. Right by length of the events, 1 fps → 6 "
        f"fps: {halves}."
    )
    if at_1.n_visible < at_1.n:
        return ("holds in part" if n_normal_6 < n_normal_1 else "not shown"), text
    return "not shown", text + " Whatever more frames gain here, it is not the sight of events that 1 fps misses."


@claim("The comparison is one of frame rates, beyond these two trained models")
def one_training_run(evidence: Evidence) -> tuple[Verdict, str]:
    text = (
        "Each fine-tuned setting is one model, trained once. The p-values speak of these models; another training seed "
        "gives another model, and that spread is in none of the numbers. Between 1 and 6 fps the frames, the number of "
        "tokens and their positions change together."
    )
    return ("not shown", text)


@claim("Table 4 (animals) follows from the logs")
def animals(evidence: Evidence) -> tuple[Verdict, str]:
    text = "No prediction log of the animal experiments was found, so there is nothing to count again."
    return "cannot be checked", text


def findings(evidence: Evidence) -> list[Finding]:
    """Every claim with its verdict, in the order of a reading."""
    return [judge(evidence) for judge in CLAIMS]
