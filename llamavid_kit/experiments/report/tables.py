"""One table feeds all others: `measures`, a row an arm and measure, counted from the run's own files.

From it come the tables of a report, with texts for reading, and what its figures draw (shares 0 to 1). Comparisons of
two arms are `paired`. The study's published numbers stand beside ours, and the counts that its own logs give.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from llamavid_kit.evaluation.scoring import NO_LABEL
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.evaluation.visibility import in_events
from llamavid_kit.experiments.arms import Arm
from llamavid_kit.experiments.prompts import PROMPTS
from llamavid_kit.experiments.run import Run
from llamavid_kit.study.recount import NO_LOG, percents_text, share_text
from llamavid_kit.study.results import SETTINGS, TABLE_4_ANIMALS
from llamavid_kit.study.setup import CRIME, NORMAL
from llamavid_kit.viz.plots import p_text

NAMES = {  # a number of summary.json → its name in tables, and how it is written
    "accuracy": ("accuracy", "%"),
    "balanced_accuracy": ("balanced accuracy", "%"),
    "macro_f1": ("macro-F1", ".3f"),
    "no_label": (NO_LABEL, "n"),
    "score": ("score, 0 to 5", ".2f"),
    "precision": ("precision", "%"),
    "recall": ("recall", "%"),
    "f1": ("F1", "%"),
    "animals_f1": ("animals alone, F1", "%"),
    "actions_f1": ("actions alone, F1", "%"),
    "no_verdict": ("no verdict", "n"),
}
STUDY = {(setting.fine_tuned, setting.fps): setting for setting in SETTINGS}
PAIRED = ["family", "a", "b", "n", "only_a", "only_b", "difference", "p", "p_holm", "key_a", "key_b", "low", "high"]
ALL = "all clips"
EVENT_IN_FRAME, EVENT_BETWEEN, NO_EVENT = "event in a frame", "event between frames", "no event"


def plain(text: object) -> str:
    """A text from outside inside Markdown: it is shown letter by letter, and never becomes a link, a picture or markup.

    What Markdown, HTML or formulas could read as more than a letter becomes a character reference.
    """
    return re.sub(r"[^\w ,.;?'\"%()–-]|_", lambda mark: f"&#{ord(mark[0])};", " ".join(str(text).split()))


def listed(words: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def percent(k: float, n: float) -> str:
    return f"{k / n:.1%}" if n else "–"


def written(value: float, bounds: Sequence[float] | None, form: str) -> str:
    """A number and its interval, as tables write them. form: "%", "n" for a count, or a format."""
    if form == "n":
        return f"{value:.0f}"
    text = f"{value:.1%}" if form == "%" else f"{value:{form}}"
    if bounds is None:
        return text
    low, high = bounds
    return f"{text} ({percents_text(low, high) if form == '%' else f'{low:{form}} to {high:{form}}'})"


@lru_cache(maxsize=4)  # every table and figure begins with it
def measures(run: Run) -> pd.DataFrame:
    """A row an arm and measure, of all arms.

    Columns: key, arm, fps, fine_tuned, seed, answering, rule, main, measure, of, k, n, value, low, high.
    measure: of NAMES, or "accuracy" by part: of a class, of a group of classes, of clips by what the arm's frames held;
    of: which part, or ALL. k of n is counted where there is a count. low, high: 95% interval where there is one.
    """
    rows = []
    for arm in run.arms:
        score = run.scores[arm.name]
        head = {
            "key": arm.name,
            "arm": run.name_in_tables(arm),
            "fps": float(arm.fps),
            "fine_tuned": arm.adapter is not None,
            "seed": arm.adapter and arm.adapter.seed,
            "answering": arm.answering,
            "rule": score["rule"],
            "main": run.is_main(arm),
        }
        for name in (name for name in NAMES if name in score):
            low, high = _bounds(score, name) or (None, None)
            k = score["correct"] if name == "accuracy" else None
            rows.append(head | _row(name, ALL, score["n"], k, score[name], low, high))
        replies = run.of(arm.name)
        for measure, part, picked in _parts(run, replies):
            right = replies.loc[picked, "correct"]
            k, n = int(right.sum()), len(right)
            rows.append(head | _row(measure, part, n, k, k / n if n else None, *wilson(k, n)))
    return pd.DataFrame(rows)


def _bounds(score: dict[str, Any], name: str) -> Sequence[float] | None:
    """The 95% interval of a number of an arm, where it has one."""
    return score.get("wilson95" if name == "accuracy" else f"{name}_interval95")


def _row(measure: str, of: str, n: int, k: int | None, value: float | None, low: Any, high: Any) -> dict[str, Any]:
    return {"measure": measure, "of": of, "k": k, "n": n, "value": value, "low": low, "high": high}


def _parts(run: Run, replies: pd.DataFrame) -> list[tuple[str, str, pd.Series]]:
    """(by what, which part, its clips): classes, groups of classes, and clips by what the arm's own frames held."""
    truth, groups = replies["truth"], {name: list(labels) for name, labels in run.summary["groups"].items()}
    if groups:
        rest = [label for label in run.labels if not any(label in labels for labels in groups.values())]
        groups |= {", ".join(rest): rest} if rest else {}
    parts = [("class", label, truth == label) for label in run.labels]
    parts += [("group", name, truth.isin(labels)) for name, labels in groups.items()]
    events = run.test.set_index("clip")["events"].to_dict()
    if any(events.values()):
        shown = zip(replies["clip"], replies["timestamps_s"], strict=True)
        held = pd.Series([_held(times, events[clip]) for clip, times in shown], index=replies.index)
        parts += [("event", part, held == part) for part in (EVENT_IN_FRAME, EVENT_BETWEEN, NO_EVENT)]
    return parts


def _held(times: Sequence[float], events: Sequence[tuple[float, float]]) -> str:
    if not events:
        return NO_EVENT
    return EVENT_IN_FRAME if in_events(times, events).any() else EVENT_BETWEEN


def of_arms(run: Run, answering: str, measure: str = "accuracy", *, every: bool = False) -> pd.DataFrame:
    """The rows of `measures` for one measure of one way of answering; zero-shot first, then by fps.

    every: also the arms with another prompt, order, content, …, after the run's main arms. correct: another name of k.
    """
    table = measures(run)
    table = table[(table["answering"] == answering) & (table["measure"] == measure) & (table["main"] | every)]
    order = table.assign(varied=~table["main"]).sort_values(["varied", "fine_tuned", "fps", "seed"], kind="stable")
    counts = order["k"].astype("Int64")  # of a measure without counts they are missing, and pandas would make floats
    return order.drop(columns="varied").assign(k=counts, correct=counts).reset_index(drop=True)


def silent(run: Run, key: str) -> bool:
    """Whether none of the arm's replies names a label: there is nothing to draw by class."""
    return bool(run.labels) and run.scores[key]["no_label"] == run.scores[key]["n"]


def arm_table(run: Run, answering: str, *, every: bool = False) -> pd.DataFrame:
    """For reading: a row an arm with every measure of the run and its receipt, the study's numbers beside ours.

    Of an open run the baseline has a row too. The study let its model write, so nothing stands beside likelihoods.
    """
    rows = []
    for row in of_arms(run, answering, every=every).itertuples():
        arm = run.arm(row.key)
        cells = {"arm": row.arm, **_scored(run.scores[row.key]), **_receipt(run, arm)}
        if setting := STUDY.get((row.fine_tuned, row.fps)):
            accuracy, score = TABLE_4_ANIMALS[setting.key]
            if run.animals:
                cells |= {"study: accuracy": f"{accuracy:g}%", "study: score": f"{score:g}"}
            elif has_study_labels(run) and answering == "generation" and not every:
                cells["study: published"] = f"{setting.published}%"
                cells["study: its logs give"] = share_text(*setting.right) if setting.right else NO_LOG
        rows.append(cells)
    if run.open:
        rows.append({"arm": f'always "{run.summary["baseline"]["label"]}"', **_scored(run.summary["baseline"])})
    return pd.DataFrame(rows).astype(object).fillna("–")


def _scored(score: dict[str, Any]) -> dict[str, str]:
    cells = {"right": f"{score['correct']}/{score['n']}"}
    for name, (title, form) in NAMES.items():
        if name in score:
            cells[title] = written(score[name], _bounds(score, name), form)
    return cells


def _receipt(run: Run, arm: Arm) -> dict[str, str]:
    """What the arm's model got to see, on average."""
    receipt, n = run.scores[arm.name]["receipt"], run.scores[arm.name]["n"]
    cells = {"frames a clip": f"{receipt['n_frames'] / n:.1f}"}
    if receipt["visual_tokens"] is not None:
        cells["tokens a frame"] = f"{receipt['tokens_a_frame'] or 0:.3g}"
        cells["tokens in all"] = f"{receipt['visual_tokens']:,}"
    if not _told_apart(run):
        return cells
    inputs = _inputs(run.of(arm.name))
    if not inputs or len(inputs) < n:  # a model that does not say
        return cells
    cells["frames given, arrived"] = f"{_mean(inputs, 'n_given')}, {_mean(inputs, 'n_arrived')}"
    sizes = sorted({(width, height) for height, width in (receipt["frame_size"] for receipt in inputs)})
    cells["pixels of a frame"] = " to ".join(f"{width}x{height}" for width, height in sizes[:: max(1, len(sizes) - 1)])
    told = [receipt["times_told_s"] for receipt in inputs]
    cells["different times told a clip"] = (
        "not known" if None in told else f"{sum(len(set(times)) for times in told) / n:.1f}"
    )
    return cells


def _inputs(replies: pd.DataFrame) -> list[dict[str, Any]]:
    """The receipts of those replies that have one."""
    return [receipt for receipt in replies.get("receipt", ()) if isinstance(receipt, dict)]


@lru_cache(maxsize=4)
def _told_apart(run: Run) -> bool:
    """Whether receipts say more than frames and tokens: frames of several sizes, doubled or dropped, or times."""
    inputs = _inputs(run.replies)
    moved = any(receipt["n_given"] != receipt["n_arrived"] or receipt["times_told_s"] != [] for receipt in inputs)
    return moved or len({tuple(receipt["frame_size"]) for receipt in inputs}) > 1


def _mean(inputs: Sequence[dict[str, Any]], name: str) -> str:
    return f"{sum(receipt[name] for receipt in inputs) / len(inputs):.1f}"


def by_part(run: Run, answering: str, measure: str) -> pd.DataFrame:
    """For reading: a row an arm, a column a part: "class", "group" or "event"; k/n, percent and Wilson's interval."""
    table = of_arms(run, answering, measure)
    table["cell"] = [
        f"{share_text(r.k, r.n)} ({percents_text(r.low, r.high)})" if r.n else "–" for r in table.itertuples()
    ]
    return _wide(table, "arm", "of")


def class_table(run: Run, answering: str) -> pd.DataFrame:
    """Like the study's Table 3, for reading: a row a class, k/n and percent an arm."""
    table = of_arms(run, answering, "class")
    table["cell"] = [f"{r.k}/{r.n} ({r.k / r.n:.0%})" if r.n else "–" for r in table.itertuples()]
    return _wide(table.rename(columns={"of": "class"}), "class", "arm")


def _wide(table: pd.DataFrame, rows: str, columns: str) -> pd.DataFrame:
    """`cell` by two columns, both in the order in which they stand."""
    if table.empty:
        return pd.DataFrame()
    wide = table.pivot(index=rows, columns=columns, values="cell")
    wide = wide.reindex(index=table[rows].unique(), columns=table[columns].unique())
    return wide.rename_axis(None, axis=1).reset_index()


def class_sizes(run: Run) -> pd.DataFrame:
    """How many train and test clips each class has, in the order of the labels."""
    counts = run.clips.groupby(["label", "split"]).size().unstack(fill_value=0)
    counts = counts.reindex(index=run.labels, columns=["train", "test"], fill_value=0).rename_axis(None, axis=1)
    return counts.reset_index().rename(columns={"label": "class"})


def exclusions(run: Run) -> pd.DataFrame:
    """Reasons with the number of clips each took."""
    return run.excluded["reason"].value_counts().rename_axis("reason").reset_index(name="clips")


def visibility(run: Run) -> pd.DataFrame:
    """set, fps, n, seen, low, high: events with at least one sampled frame, of this set and of UCF-Crime."""
    rows = [[row[key] for key in ("set", "fps", "n", "seen")] + row["wilson95"] for row in run.summary["visibility"]]
    return pd.DataFrame(rows, columns=["set", "fps", "n", "seen", "low", "high"])


def paired(run: Run, family: str | None = None, *, answering: str | None = None) -> pd.DataFrame:
    """Two arms that differ in one factor, on the same clips: the summary's rows, with the arms in words and as keys.

    family: of one factor (`arms.pairs_of`), None for all; answering: within one way, None for all. Columns: family, a,
    b, key_a, key_b, n, only_a, only_b, difference, low, high, p, p_holm (Holm within the family); of an open run also
    score_difference, score_low, score_high, score_p_holm.
    """
    rows = []
    for row in run.summary["paired"]:
        a, b = run.arm(row["a"]), run.arm(row["b"])
        if family not in (None, row["family"]) or (answering and {answering} != {a.answering, b.answering}):
            continue
        without = ("answering",) if answering or len(run.answering) == 1 else ()
        cells = {"a": run.words(a, without=without), "b": run.words(b, without=without)}
        cells |= {"key_a": a.name, "key_b": b.name, "low": row["interval95"][0], "high": row["interval95"][1]}
        if run.open:
            cells["score_low"], cells["score_high"] = row["score_interval95"]
        rows.append({name: value for name, value in row.items() if not name.endswith("95")} | cells)
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=PAIRED)


def paired_table(run: Run, family: str | None = None) -> pd.DataFrame:
    """`paired` for reading."""
    rows = []
    for row in paired(run, family).itertuples():
        points = f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
        cells = {
            "first": row.a,
            "second": row.b,
            "clips": row.n,
            "only first right": row.only_a,
            "only second right": row.only_b,
            "accuracy, points": points,
            "p": _p(row.p),
            "p (Holm)": _p(row.p_holm),
        }
        if run.open:
            cells["score"] = f"{row.score_difference:+.2f} ({row.score_low:+.2f} to {row.score_high:+.2f})"
            cells["p of the score (Holm)"] = _p(row.score_p_holm)
        rows.append(cells)
    return pd.DataFrame(rows)


def _p(p: float) -> str:
    return p_text(p).removeprefix("= ")


def discordant(run: Run, key_a: str, key_b: str) -> pd.DataFrame:
    """Clips that exactly one of two arms got right: clip, truth, right in, reply of a, reply of b; by clip."""
    a, b = (run.of(key).set_index("clip") for key in (key_a, key_b))
    both = pd.DataFrame(
        {
            "truth": a["truth"],
            "right in": a["correct"].map({True: "first", False: "second"}),
            "reply of the first": a["reply"],
            "reply of the second": b["reply"],
        }
    )
    return both[a["correct"] != b["correct"]].sort_index().reset_index()


def prompts(run: Run) -> pd.DataFrame:
    """prompt, worded by, question: the run's prompts in full, with the options as listed."""
    heads = {arm.prompt: run.head(arm.name)["question"] for arm in reversed(run.arms) if arm.order is None}
    rows = [(name, PROMPTS[name].source, heads[name]) for name in run.config["prompts"]]
    return pd.DataFrame(rows, columns=["prompt", "worded by", "question"])


def seconds(run: Run) -> pd.DataFrame:
    stages = pd.Series(run.summary["seconds"], dtype=float)
    return pd.DataFrame({"stage": stages.index, "seconds": stages.round(1).to_numpy()})


def has_study_labels(run: Run) -> bool:
    return set(run.labels) == set(CRIME.labels)


def normal_label(run: Run) -> str | None:
    """The label that means "nothing happens": the study's, or the only one without events where events are known."""
    if NORMAL in run.labels:
        return NORMAL
    quiet = set(run.labels) - {row.label for row in run.test.itertuples() if row.events}
    return quiet.pop() if len(quiet) == 1 and len(run.labels) > 2 else None


def all_tables(run: Run) -> dict[str, pd.DataFrame]:
    """File name → table, those that the run has; one about replies says by which rule they were judged."""
    rules = {arm.name: run.scores[arm.name]["rule"] for arm in run.arms}
    both = paired(run)
    tables = {
        "measures": measures(run),
        "excluded": run.excluded,
        "visibility": visibility(run),
        "paired": both.assign(rule_a=both["key_a"].map(rules), rule_b=both["key_b"].map(rules)),
        "seconds": seconds(run),
        "class_sizes": class_sizes(run) if run.labels else pd.DataFrame(),
        "prompts": prompts(run) if len(run.config["prompts"]) > 1 else pd.DataFrame(),
    }
    for way in run.answering:
        rule = next(rules[arm.name] for arm in run.arms if arm.answering == way)
        tables[f"arms_{way}"] = arm_table(run, way, every=True).assign(rule=rule)
        parts = {f"by_{measure}_{way}": by_part(run, way, measure) for measure in ("group", "event")}
        parts[f"by_class_{way}"] = class_table(run, way)
        tables |= {name: table.assign(rule=rule) for name, table in parts.items() if len(table)}
    return {name: table for name, table in tables.items() if len(table)}
