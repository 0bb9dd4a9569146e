"""Sentences of the report, computed from a run: what its numbers say, how surely, and what they do not show.

Each function takes a `Run` and gives Markdown. No result is written down here: every claim follows from counts,
intervals and p-values, so that a run in which nothing differs says so.
"""

from llamavid_kit.evaluation.judges.animal_judge import YES_SCORE, judge, parse
from llamavid_kit.evaluation.scoring import NO_LABEL, RULE_TEXT
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.experiments.report import tables
from llamavid_kit.experiments.report.answer import SURE, main_pair, verdict
from llamavid_kit.experiments.report.tables import listed, percent, plain
from llamavid_kit.experiments.run import Run
from llamavid_kit.files import some
from llamavid_kit.study.recount import percents_text
from llamavid_kit.viz.plots import p_text

FEW = 100  # below so many clips the report warns


def plural(n: int, one: str, many: str | None = None) -> str:
    """ "1 clip", "1,200 clips": the number with its noun."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _rates(run: Run) -> str:
    return listed([f"{fps:g}" for fps in run.fps]) + " fps"


# --- the setting and the clips


def setting(run: Run) -> str:
    """Models, clips, rates and the question itself."""
    kinds = ["as it comes (zero-shot)"] * any(arm.adapter is None for arm in run.arms)
    if run.seeds:
        train = int((run.clips["split"] == "train").sum())
        kinds.append(f"after fine-tuning on {plural(train, 'labelled clip')}")
    worlds = [f"{name} knows {world}" for name, world in run.summary["worlds"].items() if world]
    known = f" ({plain('; '.join(worlds))})" if worlds else ""
    durations = run.test["duration_s"].dropna()
    length = f" (median length {durations.median():.1f} s)" if len(durations) else ""
    model, asked = ("model is", "It was") if len(run.models) == 1 else ("models are", "They were")
    packed = ", the language model's layers packed to 4 bits" if run.config.get("quantise") else ""
    return (
        f"Here the {model} **{plain(listed(run.models))}**{known}{packed}, {listed(kinds)}. {asked} asked "
        f"about **{plural(len(run.test), 'clip')}** of **{plain(run.source)}**{length}, with the frames taken at "
        f"{_rates(run)}. Every arm, that is every combination of what was varied, got the same clips and the same "
        f"question:\n\n> {plain(run.question)}"
    )


def clips(run: Run) -> str:
    """Sizes, exclusions, baseline, and a warning where n is small."""
    n, out = len(run.test), len(run.excluded)
    size = f" in {plural(len(run.labels), 'class', 'classes')}" if run.labels else _claims(run)
    left = f"{plural(out, 'clip')} left out, listed below." if out else "No clip was left out."
    lines = [f"**{plural(n, 'test clip')}**{size}; the list was fixed before the first arm ran. {left}", _baseline(run)]
    if n < FEW:
        least = f"{6 / n:.0%}" if n >= 6 else "more than all"
        low, high = wilson(round(n / 2), n)
        lines.append(
            f"**{plural(n, 'clip')} are too few to show any but a very large difference**: an arm that gets half "
            f"of them right has a 95% interval of {percents_text(low, high)}, and for p < 0.05 two arms must differ on "
            f"at least 6 clips, all in the same direction: {least} of this set. Take what follows as a trial run."
        )
    return "\n\n".join(lines)


def _claims(run: Run) -> str:
    """What the true answers about animals hold, and what the rule could not read of them."""
    if not run.animals:
        return ""
    claims = [claim for truth in run.test["label"] for claim in parse(truth, animals=run.animals)]
    animals, unread = {c.key[0] for c in claims if c.animal}, [c for c in claims if c.animal is None]
    text = f" whose true answers hold {plural(len(claims), 'claim')} about {plural(len(animals), 'animal')}"
    return text + (f" ({len(unread)} of them the rule cannot read)" if unread else "")


def _baseline(run: Run) -> str:
    base = run.summary["baseline"]
    origin = {
        None: "",
        "train": f", found in more training answers than any other ({base.get('n_answers')} of them),",
        "test": f", the most frequent answer of **these very clips** ({base.get('n_answers')}), as there are no "
        "training clips: it knows more than a model may,",
    }[base.get("from")]
    score = f", with a mean score of {base['score']:.2f}" if "score" in base else ""
    return (
        f'Always answering "{plain(base["label"])}"{origin} would be right on {base["correct"]} of {base["n"]} '
        f"({percent(base['correct'], base['n'])}){score}: an arm has learned something about the videos only if it "
        "does better than that."
    )


def visibility(run: Run) -> str:
    """What the curve says of this set and of UCF-Crime, and the warning not to mix them up."""
    table = tables.visibility(run)
    ours, crime = (table[(table["set"] == "UCF-Crime") == real].sort_values("fps") for real in (False, True))
    if ours.empty:
        text = "**Nobody has marked when this set's events happen**, so nobody can say how many a frame rate misses."
    else:
        shares = [f"{r.fps:g} fps shows {r.seen} of {r.n} ({r.seen / r.n:.0%})" for r in ours.itertuples()]
        text = f"No model can see an event between two sampled frames. Of this set's events {listed(shares)}. "
        first, last = ours.iloc[0], ours.iloc[-1]
        gain = (last.seen - first.seen) / first.n
        text += (
            f"Going from {first.fps:g} to {last.fps:g} fps uncovers another {gain:.0%} of them, so by "
            "arithmetic alone a gain in accuracy is to be expected here."
            if gain > 0
            else "More frames uncover no further event: a gain in accuracy would need another reason."
        )
    if crime.empty:
        return text
    first = crime.iloc[0]
    text += (
        f"\n\nFor comparison, UCF-Crime, a set of real surveillance videos: by its authors' annotation {first.seen} "
        f"of {first.n} events have a frame already at {first.fps:g} fps."
    )
    if len(ours) and ours.iloc[0].seen / ours.iloc[0].n < first.seen / first.n:
        text += (
            " **So an effect measured here must not be taken for UCF-Crime's.** This set has events short enough to "
            "be missed. In UCF-Crime no annotated event is missed, so a gain from more frames would need another "
            "reason."
        )
    return text


# --- how many were right


def accuracy(run: Run, answering: str) -> str:
    """Which arms are above the baseline, and the replies that could not be counted as an answer."""
    arms, base = tables.of_arms(run, answering), run.summary["baseline"]
    share = base["correct"] / base["n"]
    kinds = {
        "Better than it (the whole 95% interval lies above it)": arms[arms["low"] > share]["arm"],
        "Perhaps no better than it, perhaps no worse (it lies in the 95% interval)": arms[
            (arms["low"] <= share) & (arms["high"] >= share)
        ]["arm"],
        "Worse than it (the whole 95% interval lies below it)": arms[arms["high"] < share]["arm"],
    }
    how = {
        "generation": "The model wrote its answer freely, always taking the likeliest next word.",
        "likelihood": "The model did not write: of the listed labels the likeliest was taken.",
    }[answering]
    parts = [f"{how} The baseline is {share:.1%}."]
    parts += [f"{words}: {'; '.join(map(plain, names))}." for words, names in kinds.items() if len(names)]
    scores, n = [run.scores[key] for key in arms["key"]], int(arms["n"].sum())
    if run.labels and answering == "generation":
        silent = sum(score["no_label"] for score in scores)
        text = (
            f"{silent} of {n} replies name none in this way and count as wrong." if silent else "every reply names one."
        )
        parts.append(f"A reply counts as a label by rule `{run.rule}` ({RULE_TEXT[run.rule]}); {text}")
    if run.animals:
        silent = sum(score["nothing_parsed"] for score in scores)
        parts.append(f"In {silent} of {n} replies the rule found no animal with an action.")
    if silent := sum(score.get("no_verdict", 0) for score in scores):
        parts.append(f"The judge gave no verdict on {silent} of {n} replies; they count as wrong.")
    flat = [plain(run.words(arm["name"])) for arm in scores if run.open and max(arm["scores"]) == arm["n"]]
    if flat:
        parts.append(
            f"**All clips score alike in: {'; '.join(flat)}.** So the bootstrap finds no spread, and its interval "
            "has no width; that does not make the number certain. Wilson's interval of the accuracy has no such flaw."
        )
    return " ".join(parts)


def rule_example(run: Run) -> str:
    """What the rule about animals makes of a true answer of the run's own clips, and one invented sentence."""
    truth = run.test["label"].iloc[0]
    first = str(parse(truth, animals=run.animals)[0])
    example = judge(truth + " The unicorn is singing.", truth, run.animals)
    return (
        f"A reply counts as **right** from score {YES_SCORE}, F1 of one half. An example: the truth of the first clip "
        f'begins with "{plain(first)}"; the whole truth and one invented sentence would get precision '
        f"{example.precision:.2f}, recall {example.recall:.2f}, score {example.score}."
    )


# --- what differs


def family(run: Run, name: str) -> str:
    """What the comparisons over one factor say: the widest gap, and how many of all decide something."""
    table = tables.paired(run, name)
    keys = [(pair["key_a"], pair["key_b"]) for way in run.answering if (pair := main_pair(run, way)) is not None]
    main = table[[row in keys for row in zip(table["key_a"], table["key_b"], strict=True)]]
    widest = table.loc[[table["difference"].abs().idxmax()]]
    lines = [verdict(row) for _, row in (main if len(main) else widest).iterrows()]
    if run.open and len(main):
        row = main.iloc[0]
        word = "they differ" if row["score_p_holm"] < SURE else "there is no clear difference"
        lines.append(
            f"By mean score {word}: the second is {row['score_difference']:+.2f} from the first (95% interval "
            f"{row['score_low']:+.2f} to {row['score_high']:+.2f}; permutation test after Holm p "
            f"{p_text(row['score_p_holm'])})."
        )
    p_values = [*table["p_holm"], *(table["score_p_holm"] if run.open else ())]
    sure, comparisons = sum(p < SURE for p in p_values), plural(len(table), "comparison")
    tests = (
        comparisons if not run.open else f"{plural(len(p_values), 'test')} ({comparisons}, by accuracy and by score)"
    )
    lines.append(f"Of {tests}, {sure} have p < {SURE:g} after Holm's correction over them.")
    if name == "prompt" and run.seeds:
        lines.append("Fine-tuned models were trained on the pairs' own wording alone.")
    return "\n\n".join(lines)


def seed_spread(run: Run) -> str:
    """Per way of answering and fps: lowest to highest accuracy over the training seeds."""
    parts = []
    for way in run.answering:
        arms = tables.of_arms(run, way)
        for fps, rows in arms[arms["fine_tuned"]].groupby("fps"):
            parts.append(f"{fps:g} fps, {way}: {rows['value'].min():.1%} to {rows['value'].max():.1%}")
    return "; ".join(parts)


# --- classes and mistakes


def groups(run: Run) -> str:
    items = run.summary["groups"].items()
    return " ".join(f"**{plain(name.capitalize())}**: {', '.join(map(plain, labels))}." for name, labels in items)


def classes(run: Run) -> str:
    """Small classes by name, because a percentage of two clips says nothing."""
    sizes = run.test["label"].value_counts().reindex(run.labels, fill_value=0)
    small = [f"{plain(label)} {n}" for label, n in sizes.items() if 0 < n < 10]
    none = [plain(label) for label, n in sizes.items() if n == 0]
    least, most = int(sizes[sizes > 0].min()), int(sizes.max())
    even = f"Every class that occurs has {plural(most, 'clip')}."
    parts = [f"Classes have {least} to {most} clips." if least < most else even]
    if small:
        parts.append(f"**Fewer than ten clips: {', '.join(small)}**; a percentage of so few says almost nothing.")
    if none:
        parts.append(f"No clips at all: {', '.join(none)}.")
    arms = tables.of_arms(run, run.answering[0]).itertuples()
    if silent := [plain(arm.arm) for arm in arms if tables.silent(run, arm.key)]:
        parts.append(f"No reply of these arms names a label, so they are not drawn: {'; '.join(silent)}.")
    return " ".join(parts)


def mistakes(run: Run, key: str) -> str:
    """The commonest confusion of an arm."""
    table, name = run.scores[key], plain(run.name_in_tables(key))
    wrong = [
        (n, label, column)
        for label, row in zip(table["labels"], table["confusion"], strict=True)
        for column, n in zip(table["columns"], row, strict=True)
        if column != label and n
    ]
    if not wrong:
        return f"{name}: no mistake."
    if tables.silent(run, key):
        return f"{name.capitalize()}: none of the {table['n']} replies names a label, so there is nothing to draw."
    n = max(wrong)[0]
    most = [
        f'"{plain(label)}" answered as {"no label" if column == NO_LABEL else repr(plain(column))}'
        for k, label, column in wrong
        if k == n
    ]
    missed = plural(table["n"] - table["correct"], "mistake")
    alike = f" each; {len(most)} are equally frequent" if len(most) > 1 else ""
    return f"{name.capitalize()}: {missed}, most often {some(most, at_most=3)} ({plural(n, 'time')}{alike})."


# --- training, time, limits


def training(run: Run) -> str:
    if not run.training:
        return "Nothing was fine-tuned in this run: there is no training curve."
    losses = {name: rows["loss"].dropna() for name, rows in run.training.items()}
    ends = [f"{plain(name)} from {loss.iloc[0]:.2f} to {loss.iloc[-1]:.2f}" for name, loss in losses.items()]
    return (
        f"Loss during training (of the answer's tokens only): {'; '.join(ends)}. A low loss on training clips says "
        "nothing about new clips; the tables above do."
    )


def seconds(run: Run) -> str:
    spent = run.summary["seconds"]
    longest = max(spent, key=spent.get)
    return f"{sum(spent.values()):.0f} s in all, most of it in *{plain(longest)}* ({spent[longest]:.0f} s)."


def limits(run: Run) -> str:
    """What the run does not show, as a list."""
    n = len(run.test)
    worlds = listed([f"{name} knows only {world}" for name, world in run.summary["worlds"].items() if world] or [""])
    drawn = "toy" in run.source
    asked_otherwise = {"prompt", "order"} & set(run.varied)
    lines = {
        f"**What about the frame rate matters.** Between {run.fps[0]:g} and {run.fps[-1]:g} fps three things change "
        "together: which frames the model sees, how many tokens the language model reads, and at which positions they "
        "stand. The arms cannot tell these apart.": len(run.fps) > 1,
        "**Anything about frame rates.** One rate was run.": len(run.fps) == 1,
        "**Anything about real videos.** The clips are drawn, of a small made-up world: the report shows that the way "
        "from video files to this page works, and what sampling alone can change.": drawn,
        f"**What a model of real videos would do.** {plain(worlds[:1].upper() + worlds[1:])}.": bool(worlds),
        "**That one recipe beats another.** Each was trained once: two models were compared.": len(run.seeds) == 1,
        f"**Much at all.** There are only {plural(n, 'clip')}: see section 2.": n < FEW,
        f"**Another way of scoring.** Replies were matched by rule `{run.rule}`; another rule, or a language model as "
        "judge, can give other numbers from the same replies.": bool(run.labels) and "generation" in run.answering,
        "**What a generous reader would accept.** Another judge gives other numbers from the same replies, and its "
        "ranking of the arms may differ.": run.open,
        "**That a zero-shot model does not see the animals.** The rule knows the wording of this set's answers, which "
        "a fine-tuned model has read and a zero-shot model has not: part of a gain from fine-tuning is learning to use "
        "these words. Table 5 and *animals alone* show how much is wording.": bool(run.animals and run.seeds),
        "**Other questions.** One wording of one question was asked; other words, or the labels in another order, may "
        "change the answers.": not asked_otherwise,
        "**Other questions.** The words and orders that were asked are a few of many; others may change the answers "
        "more strongly.": bool(asked_otherwise),
    }
    return "\n".join(f"- {line}" for line, holds in lines.items() if holds)
