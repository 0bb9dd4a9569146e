"""`python -m llamavid_kit restudy`: the study's logs in, its tables, figures and claims with what the logs say out.

Prints tables, findings and a line per comparison; with a folder also writes `restudy.md`, tables as CSV and figures as
PNG, and of predictions `restudy.json` (every log, rule and set of clips). The predictions are read and never copied.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from llamavid_kit.evaluation.resampling import Estimate
from llamavid_kit.evaluation.visibility import Events
from llamavid_kit.files import whole, write_whole, writing
from llamavid_kit.study import recount
from llamavid_kit.study.claims import Finding, findings
from llamavid_kit.study.evidence import Evidence, read_evidence
from llamavid_kit.study.figures import figures
from llamavid_kit.study.logs import read_logs, records
from llamavid_kit.study.results import BY_KEY, COMPARISONS, SOURCE

WIDTH = 200  # columns of the terminal that tables may take
FINE_TUNED = ("finetuned_fps1", "finetuned_fps6")


def closing_lines(evidence: Evidence) -> list[str]:
    """A line per comparison of the study: settings, k/n, percent, McNemar p; or which log there is not."""
    share, lines = recount.share_text, []
    rows = {(r.key_a, r.key_b): r for r in recount.comparisons(evidence).itertuples()}
    for a, b in COMPARISONS:
        if row := rows.get((a, b)):
            lines.append(
                f"{row.a} against {row.b}: {share(row.correct_a, row.n)} against {share(row.correct_b, row.n)}; only "
                f"first right {row.only_a}, only second {row.only_b}; McNemar p = {row.p:.2g}, Holm {row.p_holm:.2g}"
            )
        else:
            unlogged = [BY_KEY[k].name for k in (a, b) if BY_KEY[k] not in evidence.logged]
            why = f"no log of {' and '.join(unlogged)}" if unlogged else "no video that both answered"
            lines.append(f"{BY_KEY[a].name} against {BY_KEY[b].name}: {why}")
    return lines


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Title → table for reading."""
    by_title = {
        "Table 2, published and counted": recount.table_2(evidence),
        f"Table 3, published · counted on the {len(evidence.common)} common videos": recount.table_3(evidence),
    }
    if set(FINE_TUNED) <= set(evidence.outcomes):
        title = "Videos that only one of the fine-tuned models got right"
        by_title[title] = recount.discordant(evidence, *FINE_TUNED)
    return by_title


def text(evidence: Evidence, claims: list[Finding]) -> str:
    """The whole reading as plain text."""
    parts = [f"The study, counted again, from {evidence.source}; events from {evidence.event_source}. {SOURCE}"]
    for title, table in tables(evidence).items():
        parts.append(f"{title}\n{table.to_string(index=False, line_width=WIDTH)}")
    parts += [f"[{f.verdict}] {f.claim}.\n  {f.text}" for f in claims]
    return "\n\n".join([*parts, "\n".join(closing_lines(evidence))])


def markdown(evidence: Evidence, claims: list[Finding], names: Iterable[str]) -> str:
    """The same with its figures, by their file names."""
    parts = ["# The study, counted again"]
    parts.append(f"From {evidence.source}; events from {evidence.event_source}. Source: {SOURCE}")
    for title, table in tables(evidence).items():
        parts += [f"## {title}", _markdown_table(table)]
    parts += ["## Claim by claim", *(f"- **{f.claim}: {f.verdict}.** {f.text}" for f in claims)]
    parts += ["## Figures", *(f"![{name}](figures/{name}.png)" for name in names)]
    return "\n\n".join([*parts, "## Comparisons", *(f"- {line}" for line in closing_lines(evidence))]) + "\n"


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
    """Reads, writes to `out` where it is given, and returns the text. Errors as `evidence.read_evidence`."""
    evidence = read_evidence(predictions, events, event_source=event_source)
    claims = findings(evidence)
    if out is not None:
        out = Path(out)
        with writing(out):
            for folder in ("figures", "tables"):
                (out / folder).mkdir(parents=True, exist_ok=True)
            drawings = figures(evidence)
            for name, figure in drawings.items():
                with whole(out / "figures" / f"{name}.png") as part:
                    figure.savefig(part, bbox_inches="tight")
            for table in (recount.accuracies, recount.per_class, recount.comparisons):
                write_whole(out / "tables" / f"{table.__name__}.csv", _flat(table(evidence)).to_csv(index=False))
            write_whole(out / "tables" / "events.csv", evidence.halves.to_csv(index=False))
            write_whole(out / "restudy.md", markdown(evidence, claims, drawings))
            if predictions is not None:
                counts = json.dumps(records(read_logs(predictions)), indent=1)
                write_whole(out / "restudy.json", counts + "\n")
    return text(evidence, claims)
