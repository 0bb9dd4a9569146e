"""Sentences of the report, computed from a run: what its numbers say, how surely, and what they do not show.

Each function takes a `Run` and gives Markdown. No result is written down here: every claim follows from counts,
intervals and p-values, so that a run in which nothing differs says so.
"""

import html

import pandas as pd

from llamavid_kit.evaluation.scoring import NO_LABEL, RULE_TEXT
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.experiments.report import tables as tables
from llamavid_kit.experiments.run import Run
from llamavid_kit.viz.plots import p_text

SURE = 0.05  # a difference is called one where Holm's p is below this
FEW = 100  # below so many clips the report warns


def plural(n: int, one: str, many: str | None = None) -> str:
    """ "1 clip", "1,200 clips": the number with its noun."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _rates(run: Run) -> str:
    return _listed([f"{fps:g}" for fps in run.fps]) + " fps"


def asked(run: Run) -> str:
    """Model, clips, rates and the question itself."""
    kinds = ["as it came (zero-shot)"] * any(not a["finetune"] for a in run.summary["arms"])
    if run.seeds:
        train = int((run.clips["split"] == "train").sum())
        kinds.append(f"after fine-tuning on {plural(train, 'labelled clip')} at the same rate")
    world = f" (what it knows: {html.escape(str(run.world))})" if run.world else ""
    durations = run.test["duration_s"].dropna()
    length = f" (median length {durations.median():.1f} s)" if len(durations) else ""
    return (
        f"Here the model is **{html.escape(run.model)}**{world}. It was asked {_listed(kinds)}, about "
        f"**{plural(len(run.test), 'clip')}** of **{html.escape(run.source)}**{length}, with the frames taken at "
        f"{_rates(run)}. Every arm, that is every combination of model and frame rate, got the same clips and the same "
        f"question:\n\n> {html.escape(run.question)}"
    )


def clips(run: Run) -> str:
    """Sizes, exclusions, baseline, and a warning where n is small."""
    base, n, out = run.summary["baseline"], len(run.test), len(run.excluded)
    lines = [
        f"**{plural(n, 'test clip')}** in {plural(len(run.labels), 'class', 'classes')}; the list was fixed before "
        f"the first arm ran. {plural(out, 'clip') + ' left out, listed below.' if out else 'No clip was left out.'}",
        f'Always answering "{base["label"]}" would be right on {base["correct"]} of {base["n"]} '
        f"({tables.percent(base['correct'], base['n'])}): an arm has learned something about the videos only if it "
        "does better than that.",
    ]
    if n < FEW:
        least = f"{6 / n:.0%}" if n >= 6 else "more than all"
        low, high = wilson(round(n / 2), n)
        lines.append(
            f"**{plural(n, 'clip')} are too few for anything but a very large difference**: an arm that gets half of "
            f"them right has a 95% interval of {tables.interval(low, high)}, and for p < 0.05 two arms must differ on "
            f"at least 6 clips, all in the same direction: {least} of this set. Read what follows as a rehearsal."
        )
    return "\n\n".join(lines)


def visibility(run: Run) -> str:
    """What the curve says of this set and of UCF-Crime, and the warning not to mix them up."""
    table = tables.visibility(run)
    ours, crime = (table[(table["set"] == "UCF-Crime") == real].sort_values("fps") for real in (False, True))
    if ours.empty:
        text = "**Nobody has marked when this set's events happen**: how many a frame rate misses cannot be said."
    else:
        shares = [f"{r.fps:g} fps shows {r.seen} of {r.n} ({r.seen / r.n:.0%})" for r in ours.itertuples()]
        text = f"No model can see an event between two sampled frames. Of this set's events {_listed(shares)}. "
        first, last = ours.iloc[0], ours.iloc[-1]
        gain = (last.seen - first.seen) / first.n
        text += (
            f"Going from {first.fps:g} to {last.fps:g} fps uncovers another {gain:.0%} of them, so a gain in accuracy "
            "is to be expected here by arithmetic alone."
            if gain > 0
            else "More frames uncover no further event: a gain in accuracy would need another reason."
        )
    if crime.empty:
        return text
    first = crime.iloc[0]
    text += (
        f"\n\nBeside it stands UCF-Crime, a set of real surveillance videos: in its authors' annotation {first.seen} "
        f"of {first.n} events have a frame at {first.fps:g} fps already."
    )
    if len(ours) and ours.iloc[0].seen / ours.iloc[0].n < first.seen / first.n:
        text += (
            " **So an effect measured here must not be taken for UCF-Crime's.** This set has events short enough to "
            "be missed; there, nothing annotated is missed, and a gain from more frames would have to come from "
            "elsewhere."
        )
    return text


def accuracy(run: Run, answering: str) -> str:
    """Which arms are above the baseline, and the replies that named no label."""
    arms, base = tables.arm_counts(run, answering), run.summary["baseline"]
    share = base["correct"] / base["n"]
    above = [row.arm for row in arms.itertuples() if row.low > share]
    below = [row.arm for row in arms.itertuples() if row.high < share]
    within = [row.arm for row in arms.itertuples() if row.low <= share <= row.high]
    how = {
        "generation": "The model wrote its answer freely, always taking the likeliest next word.",
        "likelihood": "The model was not allowed free words: of the listed labels the likeliest was taken.",
    }[answering]
    said = [f"{how} The baseline is {share:.1%}."]
    for names, words in ((above, "Above it"), (within, "Not told apart from it"), (below, "Below it")):
        if names:
            said.append(f"{words} by the 95% interval: {'; '.join(names)}.")
    silent = sum(run.arm(key)["no_label"] for key in arms["key"])
    if answering == "generation":
        rule = run.summary.get("rule") or run.config.get("rule", "exact")
        asked = int(arms["n"].sum())
        said.append(
            f"A reply counts as a label by rule `{rule}` ({RULE_TEXT.get(rule, 'see scoring.py')}); "
            + (f"{silent} of {asked} replies named none and count as wrong." if silent else "every reply named one.")
        )
    return " ".join(said)


def published(run: Run) -> str:
    """What stands in the study's columns, or nothing where the labels are others."""
    if not tables.has_study_labels(run):
        return ""
    return (
        "The last two columns are no goal but a reminder: a study asked the same question of a 7-billion-parameter "
        "model about **UCF-Crime's videos, not these clips**. Its fine-tuned numbers follow from its prediction logs "
        "(150 and 158 of 242); its zero-shot numbers, 57.5 and 57.9%, match no log: exact match of the replies gives "
        "40.9 and 42.6%, of 257 and 242 clips. And 57.9% is what always answering Normal Video gets there (140 of "
        "242)."
    )


def main_pair(run: Run, answering: str) -> pd.Series | None:
    """The comparison that the report is about: lowest against highest fps, fine-tuned if there is one, first seed."""
    table, counts = tables.paired(run, answering), tables.arm_counts(run, answering).set_index("key")
    if len(run.fps) < 2:
        return None
    for fine in (True, False):
        for _, row in table.iterrows():
            a, b = counts.loc[row["key_a"]], counts.loc[row["key_b"]]
            same = (not fine) or a["seed"] == b["seed"]
            if (
                a["fine_tuned"] == b["fine_tuned"] == fine
                and {a["fps"], b["fps"]} == {run.fps[0], run.fps[-1]}
                and same
            ):
                return row
    return None


def verdict(row: pd.Series) -> str:
    """One comparison in words, decided by Holm's p; says what the interval leaves open where it decides nothing."""
    points, low, high = (100 * row[k] for k in ("difference", "low", "high"))
    a, b, only_a, only_b = row["a"], row["b"], row["only_a"], row["only_b"]
    p = f"exact McNemar p {p_text(row['p'])}, after Holm p {p_text(row['p_holm'])}"
    if row["p_holm"] < SURE:
        if points < 0:
            a, b, only_a, only_b, points, low, high = b, a, only_b, only_a, -points, -high, -low
        return (
            f"**{b}** answered more of the same {row['n']} clips right than **{a}**: {points:.1f} points more, 95% "
            f"interval {low:.1f} to {high:.1f}; {only_b} clips only it got right, {only_a} only the other; {p}."
        )
    return (
        f"**{a}** and **{b}** are **not told apart** on {row['n']} clips: the second is {points:+.1f} points from the "
        f"first, and the 95% interval leaves open anything from {low:+.1f} to {high:+.1f}; {only_a} clips only the "
        f"first got right, {only_b} only the second; {p}."
    )


def pairs(run: Run, answering: str) -> str:
    """The main comparison's verdict, and how many of all comparisons decide something."""
    table, main = tables.paired(run, answering), main_pair(run, answering)
    if table.empty:
        return "No two arms were compared in this mode."
    sure = int((table["p_holm"] < SURE).sum())
    said = [verdict(main)] if main is not None else []
    if len(run.fps) < 2:
        said.append(f"Only {_rates(run)} was run: this run says nothing about frame rates.")
    said.append(f"Comparisons below with p < {SURE:g} after Holm's correction: {sure} of {len(table)}.")
    return "\n\n".join(said)


def seeds(run: Run) -> str:
    """What the number of training runs lets one conclude."""
    if not run.seeds:
        return (
            "Nothing was fine-tuned: one model was shown different frames, so no luck of training is in a difference."
        )
    if len(run.seeds) == 1:
        return (
            f"**Each fine-tuned arm is one model, trained once (seed {run.seeds[0]}).** Its p-value says how surely "
            "these two trained models differ on clips like these. It does not say that one way of training beats "
            "another: another seed would have given other models, and that spread is not in it. In a simulation with "
            "no true difference, a seed-to-seed spread of 2 points and 300 clips, 30% of such tests came out below "
            "0.05."
        )
    return (
        f"**Each fine-tuning was repeated with {len(run.seeds)} seeds.** A p-value still speaks of two trained models; "
        f"how far the recipes differ is seen in the spread between seeds: {seed_spread(run)}."
    )


def seed_spread(run: Run) -> str:
    """Per answering mode and fps: lowest to highest accuracy over the training seeds."""
    said = []
    for mode in run.answering:
        arms = tables.arm_counts(run, mode)
        for fps, rows in arms[arms["fine_tuned"]].groupby("fps"):
            share = rows["correct"] / rows["n"]
            said.append(f"{fps:g} fps, {mode}: {share.min():.1%} to {share.max():.1%}")
    return "; ".join(said)


def groups(run: Run) -> str:
    found = run.summary.get("groups") or {}
    return " ".join(f"**{html.escape(k.capitalize())}**: {', '.join(v)}." for k, v in found.items())


def classes(run: Run) -> str:
    """Small classes by name, because a percentage of two clips is no percentage."""
    sizes = run.test["label"].value_counts().reindex(run.labels, fill_value=0)
    small = [f"{label} {n}" for label, n in sizes.items() if 0 < n < 10]
    none = [label for label, n in sizes.items() if n == 0]
    least, most = int(sizes[sizes > 0].min()), int(sizes.max())
    said = [
        f"Classes have {least} to {most} clips."
        if least < most
        else f"Every class that occurs has {plural(most, 'clip')}."
    ]
    if small:
        said.append(f"**Fewer than ten clips: {', '.join(small)}**; a percentage of so few says almost nothing.")
    if none:
        said.append(f"No clips at all: {', '.join(none)}.")
    return " ".join(said)


def mistakes(run: Run, key: str) -> str:
    """The commonest confusion of an arm."""
    arm = run.arm(key)
    wrong = [
        (n, label, column)
        for label, row in zip(arm["labels"], arm["confusion"], strict=True)
        for column, n in zip(arm["columns"], row, strict=True)
        if column != label and n
    ]
    if not wrong:
        return f"{run.shown(arm)}: no mistake."
    n, label, column = max(wrong)
    given = "no label" if column == NO_LABEL else f'"{column}"'
    missed = plural(arm["n"] - arm["correct"], "mistake")
    return f'{run.shown(arm).capitalize()}: {missed}, most often "{label}" answered as {given} ({n} times).'


def training(run: Run) -> str:
    if not run.training:
        return "Nothing was fine-tuned in this run: there is no training curve."
    losses = {name: rows["loss"].dropna() for name, rows in run.training.items()}
    ends = [f"{name} from {loss.iloc[0]:.2f} to {loss.iloc[-1]:.2f}" for name, loss in losses.items()]
    return (
        f"Loss while training (of the answer's tokens only): {'; '.join(ends)}. A low loss on clips that were trained "
        "on says nothing about new ones; the tables above do."
    )


def seconds(run: Run) -> str:
    if not (spent := run.summary.get("seconds")):
        return "No times were written down."
    longest = max(spent, key=spent.get)
    return f"{sum(spent.values()):.0f} s in all, most of it in *{html.escape(longest)}* ({spent[longest]:.0f} s)."


def limits(run: Run) -> str:
    """What the run does not show, as a list."""
    n, rule = len(run.test), run.summary.get("rule") or run.config.get("rule", "exact")
    said = {
        f"**What about the frame rate matters.** Between {run.fps[0]:g} and {run.fps[-1]:g} fps "
        "three things change together: which frames there are, how many tokens the language model "
        "reads, and at which positions they stand. The arms cannot tell these apart.": len(run.fps) > 1,
        "**Anything about real videos.** Clips and model belong to a small "
        "made-up world: the report shows that the way from video files to this "
        "page works, and what sampling alone can do.": "toy" in f"{run.world} {run.source}",
        "**That one recipe beats another.** Each was trained once: two models were compared.": len(run.seeds) == 1,
        f"**Much at all.** {plural(n, 'clip')}: see section 2.": n < FEW,
        f"**Another way of scoring.** Replies were matched by rule `{rule}`; another "
        "rule, or a language model as judge, can give other numbers from the same "
        "replies.": "generation" in run.answering,
        "**Other questions.** One wording of one question was asked; other words, or the labels in another "
        "order, may change the answers.": not run.varied,
        "**Other questions.** The words and orders of section 8 are a few of many; others may change the "
        "answers more.": run.varied,
    }
    return "\n".join(f"- {line}" for line, holds in said.items() if holds)
