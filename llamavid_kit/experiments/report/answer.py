"""A run's result in two sentences, and as lines for a terminal: what the main comparison gave, and how surely."""

import html

import pandas as pd

from llamavid_kit.experiments.report import tables
from llamavid_kit.experiments.report.cautions import cautions
from llamavid_kit.experiments.report.tables import percent, plain
from llamavid_kit.experiments.run import Run
from llamavid_kit.viz.plots import p_text

SURE = 0.05  # a difference is called one where Holm's p is below this
KEYS = ("key_a", "key_b")


def main_pair(run: Run, answering: str) -> pd.Series | None:
    """The comparison that the report is about: lowest against highest rate, fine-tuned where there is such a pair.

    A run of one rate is about its first comparison. None where nothing is compared in this way of answering.
    """
    rows = [row for _, row in tables.paired(run, answering=answering).iterrows() if run.is_main(run.arm(row["key_a"]))]
    ends = {run.fps[0], run.fps[-1]}
    rates = [row for row in rows if row["family"] == "fps" and {run.arm(row[key]).fps for key in KEYS} == ends]
    fine_tuned = [row for row in rates if run.arm(row["key_a"]).adapter]
    return next(iter(fine_tuned or rates or rows), None)


def answer(run: Run) -> str:
    """The run's result in two sentences: what the main comparison gave, and what an arm must beat."""
    way, base = run.answering[0], run.summary["baseline"]
    pair = main_pair(run, way)
    if pair is None:
        first = f"Of {len(run.test)} clips {_share(run, run.arms[0].name)} right."
    else:
        low, high = (f"{100 * pair[name]:+.1f}" for name in ("low", "high"))
        told = "" if pair["p_holm"] < SURE else ", **too little to tell the two apart**"
        first = (
            f"Of the same {pair['n']} clips {_share(run, pair['key_b'])} right and {_share(run, pair['key_a'])}, a "
            f"difference of {100 * pair['difference']:+.1f} points (95% interval {low} to {high}; exact McNemar p "
            f"{p_text(pair['p'])}, after Holm {p_text(pair['p_holm'])}){told}."
        )
    return (
        f"{first} Always answering “{plain(base['label'])}” would be right on {base['correct']} of {base['n']} "
        f"({percent(base['correct'], base['n'])})."
    )


def beside(run: Run) -> str:
    """What must be known beside the result, as a list; "" where there is nothing."""
    return "\n".join(f"- {plain(caution)}" for caution in cautions(run))


def _share(run: Run, key: str) -> str:
    score = run.scores[key]
    name = plain(run.name_in_tables(key))
    return f"**{name}** answered {score['correct']} ({percent(score['correct'], score['n'])})"


def verdict(row: pd.Series) -> str:
    """One comparison in words, decided by Holm's p; says what the interval leaves open where it decides nothing."""
    points, low, high = (100 * row[name] for name in ("difference", "low", "high"))
    a, b, only_a, only_b = plain(row["a"]), plain(row["b"]), row["only_a"], row["only_b"]
    p = f"exact McNemar p {p_text(row['p'])}, after Holm p {p_text(row['p_holm'])}"
    if row["p_holm"] < SURE:
        if points < 0:
            a, b, only_a, only_b, points, low, high = b, a, only_b, only_a, -points, -high, -low
        return (
            f"**{b}** answered more of the same {row['n']} clips right than **{a}**: {points:.1f} points more, 95% "
            f"interval {low:.1f} to {high:.1f}; clips that only it got right: {only_b}, only the other: {only_a}; {p}."
        )
    return (
        f"**No clear difference** between **{a}** and **{b}** on {row['n']} clips: the second is {points:+.1f} points "
        f"from the first, and the 95% interval leaves open anything from {low:+.1f} to {high:+.1f}; clips "
        f"that only the first got right: {only_a}, only the second: {only_b}; {p}."
    )


def result_lines(run: Run) -> list[str]:
    """The result for a terminal: a line an arm, a line a comparison of its main arms, and the answer."""
    lines = []
    for way in run.answering:
        for row in tables.of_arms(run, way, every=True).itertuples():
            score = f", score {run.scores[row.key]['score']:.2f} of 5" if run.open else ""
            share = f"{int(row.k):4d} of {row.n} right = {row.value:5.1%} [{row.low:.1%}, {row.high:.1%}]{score}"
            lines.append(f"{row.arm + ', ' + way:44s} {share}")
    main = main_pair(run, run.answering[0])
    compared = () if main is None else {main["family"], "model", *run.varied}
    for family in [family for family in run.families if family in compared]:
        for row in tables.paired(run, family).itertuples():
            lines.append(f"{row.a} → {row.b}: only first {row.only_a}, only second {row.only_b}, p {p_text(row.p)}")
    lines += [f"note: {caution}" for caution in cautions(run)]
    result = html.unescape(answer(run).replace("**", ""))
    return [*lines, *(f"left out: {row.clip} ({row.split}): {row.reason}" for row in run.excluded.itertuples()), result]
