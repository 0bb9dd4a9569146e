"""What a reader must know beside the numbers: rates that clips do not have, labels that stand alone or that nobody
answers, false alarms, and replies that the rule did not read. Report and terminal show the same sentences.
"""

from collections.abc import Iterator, Sequence

from llamavid_kit.evaluation.scoring import NO_LABEL, RULE_TEXT, RuleName, label_of, mentions
from llamavid_kit.experiments.report import tables
from llamavid_kit.experiments.run import Run

BY_MENTION: RuleName = "unique_mention"


def cautions(run: Run) -> list[str]:
    """Sentences of plain text, none where there is nothing to say."""
    closed = (*_labels(run), *_unread(run), *_never_answered(run)) if run.labels else ()
    return [*_rates(run), *closed]


def _rates(run: Run) -> Iterator[str]:
    rates = run.test["rate"].dropna()
    for fps in run.fps:
        slow = rates[rates < 0.999 * fps]
        if len(slow):
            low, high = f"{slow.min():g}", f"{slow.max():g}"
            yield (
                f"{len(slow)} of {len(run.test)} clips have fewer than {fps:g} frames a second "
                f"({low if low == high else f'{low} to {high}'}): at {fps:g} fps each of their frames is seen once, "
                "and no more."
            )


def _labels(run: Run) -> Iterator[str]:
    sizes = {split: rows["label"].value_counts() for split, rows in run.clips.groupby("split")}
    n_train, n_test = (
        {label: sizes.get(split, {}).get(label, 0) for label in run.labels} for split in ("train", "test")
    )
    if once := [label for label in run.labels if n_train[label] + n_test[label] == 1]:
        yield f"Only one clip has the label {_any_of(once)}: is it misspelt?"
    if run.seeds and (untrained := [label for label in run.labels if n_test[label] and not n_train[label]]):
        yield f"No training clip has the label {_any_of(untrained)}: adapters never met it."
    if untested := [label for label in run.labels if n_train[label] and not n_test[label]]:
        yield f"No test clip has the label {_any_of(untested)}: nothing is known about it."


def _unread(run: Run) -> Iterator[str]:
    """Replies without a label that mention one after all, and what counting them would give."""
    written = [arm for arm in run.arms if arm.answering == "generation"]
    replies = {arm.name: run.of(arm.name) for arm in written}
    silent = {name: rows[rows["label"].isna()] for name, rows in replies.items()}
    n_silent = sum(map(len, silent.values()))
    one = {
        name: [label_of(reply, run.labels, rule=BY_MENTION) for reply in rows["reply"]] for name, rows in silent.items()
    }
    n_one = sum(label is not None for labels in one.values() for label in labels)
    if n_one:
        counts = []
        for name, rows in silent.items():
            more = sum(label == truth for label, truth in zip(one[name], rows["truth"], strict=True))
            counts.append(
                f"{run.name_in_tables(name)}: {replies[name]['correct'].sum() + more} of {len(replies[name])}"
            )
        yield (
            f"{n_one} of the {n_silent} written replies without a label mention one label alone. By rule {BY_MENTION} "
            f"({RULE_TEXT[BY_MENTION]}) these would be right: {'; '.join(counts)}. Start the run again with --rule "
            f"{BY_MENTION} to count them; nothing is asked again."
        )
    several = sum(len({*mentions(reply, run.labels)}) > 1 for rows in silent.values() for reply in rows["reply"])
    if several:
        yield f"{several} of the {n_silent} written replies without a label mention several labels, so none is counted."


def _never_answered(run: Run) -> Iterator[str]:
    """Labels that a main arm never gives, and clips of the quiet class that it calls something else."""
    normal = tables.normal_label(run)
    for arm in tables.of_arms(run, run.answering[0]).itertuples():
        score = run.scores[arm.key]
        if tables.silent(run, arm.key):
            continue
        never = [label for label, c in score["per_class"].items() if c["n"] and not c["predicted"]]
        parts = [f"never answers {_any_of(never)}"] if never else []
        if normal is not None and (n := score["per_class"][normal]["n"]):
            row = dict(zip(score["columns"], score["confusion"][score["labels"].index(normal)], strict=True))
            alarms = n - row[normal] - row.get(NO_LABEL, 0)
            parts += [f"calls {alarms} of {n} clips of “{normal}” something else"] if alarms else []
        if parts:
            yield f"{arm.arm[0].upper()}{arm.arm[1:]}: {', and '.join(parts)}."


def _any_of(labels: Sequence[str]) -> str:
    return tables.listed([f"“{label}”" for label in labels], "or")
