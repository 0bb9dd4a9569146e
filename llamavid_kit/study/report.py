"""`python -m llamavid_kit restudy`: the study's logs in, its tables, figures and claims with what the logs say out.

Prints tables, findings and a line per comparison; with a folder also writes `restudy.md`, `restudy.json` (every log,
rule and set of clips), tables as CSV and figures as PNG. The predictions are read and never copied.
"""

import json
from pathlib import Path

import pandas as pd

from llamavid_kit.evaluation.resampling import Estimate
from llamavid_kit.evaluation.visibility import Events
from llamavid_kit.study import figures as restudy_figures
from llamavid_kit.study import logs as prediction_logs
from llamavid_kit.study import recount as restudy
from llamavid_kit.study.claims import Finding, findings
from llamavid_kit.study.evidence import Evidence, evidence
from llamavid_kit.study.results import BY_KEY, COMPARISONS, SOURCE

WIDTH = 200  # columns of the terminal that tables may take


def closing_lines(found: Evidence) -> list[str]:
    """A line per comparison of the study: settings, k/n, percent, McNemar p; or which log there is not."""
    table, lines = restudy.comparisons(found), []
    known = {(r.key_a, r.key_b): r for r in table.itertuples()}
    for a, b in COMPARISONS:
        if row := known.get((a, b)):
            lines.append(
                f"{row.a} against {row.b}: {row.correct_a}/{row.n} = {row.correct_a / row.n:.1%} against "
                f"{row.correct_b}/{row.n} = {row.correct_b / row.n:.1%}; only first right {row.only_a}, only second "
                f"{row.only_b}; McNemar p = {row.p:.2g}, Holm {row.p_holm:.2g}"
            )
        else:
            missing = [BY_KEY[k].name for k in (a, b) if BY_KEY[k] not in found.logged]
            why = f"no log of {' and '.join(missing)}" if missing else "no video that both answered"
            lines.append(f"{BY_KEY[a].name} against {BY_KEY[b].name}: {why}")
    return lines


def tables(found: Evidence) -> dict[str, pd.DataFrame]:
    """Title → table for reading."""
    shown = {
        "Table 2, published and counted": restudy.table_2(found),
        f"Table 3, published · counted on the {len(found.common)} common videos": restudy.table_3(found),
    }
    for a, b in COMPARISONS[1:2]:
        if {a, b} <= set(found.outcomes):
            shown["Videos that only one of the fine-tuned models got right"] = restudy.discordant(found, a, b)
    return shown


def text(found: Evidence, judged: list[Finding]) -> str:
    """The whole reading as plain text."""
    parts = [f"The study, counted again, from {found.source}; events from {found.event_source}. {SOURCE}"]
    for title, table in tables(found).items():
        parts.append(f"{title}\n{table.to_string(index=False, line_width=WIDTH)}")
    parts += [f"[{f.verdict}] {f.claim}.\n  {f.text}" for f in judged]
    return "\n\n".join([*parts, "\n".join(closing_lines(found))])


def markdown(found: Evidence, judged: list[Finding], names: list[str]) -> str:
    """The same with its figures."""
    parts = ["# The study, counted again", f"From {found.source}; events from {found.event_source}. Source: {SOURCE}"]
    for title, table in tables(found).items():
        parts += [f"## {title}", _markdown_table(table)]
    parts += ["## Claim by claim", *(f"- **{f.claim}: {f.verdict}.** {f.text}" for f in judged)]
    parts += ["## Figures", *(f"![{name}](figures/{name}.png)" for name in names)]
    return "\n\n".join([*parts, "## Comparisons", *(f"- {line}" for line in closing_lines(found))]) + "\n"


def _markdown_table(table: pd.DataFrame) -> str:
    def row(cells) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([row(table.columns), row(["---"] * len(table.columns)), *map(row, table.itertuples(index=False))])


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Estimates as three columns of numbers."""
    flat = {}
    for name, column in table.items():
        if column.map(lambda x: isinstance(x, Estimate)).any():
            for suffix, part in (("", "value"), ("_low", "low"), ("_high", "high")):
                flat[name + suffix] = column.map(lambda x, part=part: getattr(x, part, None))
        else:
            flat[name] = column
    return pd.DataFrame(flat)


def run(
    predictions: str | Path | None,
    events: Events | None = None,
    *,
    event_source: str = "",
    out: str | Path | None = None,
) -> str:
    """Reads, writes to `out` where it is given, and returns the text. Errors as `evidence.evidence`."""
    found = evidence(predictions, events, event_source=event_source)
    judged = findings(found)
    if out is not None:
        out = Path(out)
        for folder in ("figures", "tables"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        figures = restudy_figures.figures(found)
        for name, figure in figures.items():
            figure.savefig(out / "figures" / f"{name}.png", bbox_inches="tight")
        for name, table in (
            ("accuracies", restudy.accuracies(found)),
            ("per_class", restudy.per_class(found)),
            ("comparisons", restudy.comparisons(found)),
            ("events", found.halves),
        ):
            _flat(table).to_csv(out / "tables" / f"{name}.csv", index=False)
        (out / "restudy.md").write_text(markdown(found, judged, list(figures)), encoding="utf-8")
        if predictions is not None:
            records = prediction_logs.records(prediction_logs.read_logs(predictions))
            (out / "restudy.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return text(found, judged)
