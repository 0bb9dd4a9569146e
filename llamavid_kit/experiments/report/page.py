"""A run's folder becomes a report: the notebook is executed on it and exported as one HTML page that fetches nothing.

`Run` (from `run_folder`) reads the folder, `report_tables` makes tables, `findings` sentences, `plots` figures; the
notebook puts them in order. A run of an open question has its own tables, sentences and notebook (`animal_tables`,
`animal_findings`). Here are only the notebook's place, its execution, and the page around its outputs.
"""

import html
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from IPython.display import HTML
from nbformat import NotebookNode

from llamavid_kit.experiments.report import tables as report_tables
from llamavid_kit.experiments.report import tables_choices as choice_tables
from llamavid_kit.experiments.report import tables_open as animal_tables
from llamavid_kit.experiments.run import Run

NOTEBOOK, OPEN_NOTEBOOK = "crime_ablation.ipynb", "animal_ablation.ipynb"  # for closed and for open questions
LEFT_OUT = "notebook-only"  # cells with this tag are for people who open the notebook, not for readers of the report
STYLE = """
body{font:17px/1.6 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#1b1b1b;background:#fff;margin:0}
main{max-width:1040px;margin:0 auto;padding:24px 28px 80px} h1{line-height:1.2;font-size:2.1em;margin:.6em 0 .3em}
h2{margin:2.2em 0 .4em;padding-top:.5em;border-top:2px solid #0072B2;font-size:1.45em} h3{margin:1.6em 0 .3em}
p,li,blockquote{max-width:50em} img{max-width:100%;height:auto;display:block;margin:1em 0}
blockquote{margin:.8em 0;padding:.4em 1em;border-left:4px solid #0072B2;background:#f2f7fb}
table{border-collapse:collapse;margin:.8em 0;font-size:.88em} th,td{padding:.32em .8em;border-bottom:1px solid #d5d5d5}
th{background:#f0f0f0;text-align:left;vertical-align:bottom}
td{text-align:left;white-space:nowrap;font-variant-numeric:tabular-nums}
details{margin:.8em 0;max-width:100%;overflow-x:auto} summary{cursor:pointer;color:#005a8f}
.wrap td{white-space:normal;min-width:8em;vertical-align:top}
code{background:#f1f1f1;padding:.1em .3em;border-radius:3px;font-size:.9em} .scroll{overflow-x:auto}
@media print{main{max-width:none} td{white-space:normal} .scroll{overflow:visible}}
@media print{details{display:block} h2{break-after:avoid} img,table{break-inside:avoid}}
"""


def notebook_path(name: str = NOTEBOOK) -> Path:
    """A report's notebook: beside this package in a checkout, among its assets in an installed wheel."""
    here = Path(__file__).resolve().parents[2]
    places = (here.parent / "notebooks" / name, here / "assets" / name)
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"the report's notebook is neither {places[0]} nor {places[1]}; install llamavid-kit again")


def write_report(run_folder: str | Path) -> Path:
    """Executes the notebook on the run's folder and writes `report.html` there, self-contained. Returns its path.

    Figures and tables go to `figures/*.png` and `tables/*.csv` too. Raises RuntimeError naming the cell that failed.
    """
    run = Run(run_folder)
    run.check()
    write_figures(run)
    path = notebook_path(OPEN_NOTEBOOK if run.open else NOTEBOOK)
    notebook = nbformat.read(path, as_version=4)
    absent = absent_tags(run)
    notebook.cells = [cell for cell in notebook.cells if not absent & set(cell.metadata.get("tags", ()))]
    notebook = _execute(notebook, {"RUN": str(run.folder.resolve())}, name=path.name)
    path = run.folder / "report.html"
    path.write_text(_page(notebook, title=f"FPS ablation: {run.name}"), encoding="utf-8")
    return path


def absent_tags(run: Run) -> set[str]:
    """Tags of the notebook's cells that this run has nothing for; its report goes without them."""
    if run.open:
        present = {"events": len(report_tables.visibility(run)) > 0, "training": bool(run.training)}
        return {tag for tag, there in present.items() if not there}
    present = {
        "generation": "generation" in run.answering,
        "likelihood": "likelihood" in run.answering,
        "study": report_tables.has_study_labels(run),
        "events": len(report_tables.by_receipt(run, run.answering[0])) > 0,
        "groups": bool(run.summary.get("groups")),
        "binary": report_tables.normal_label(run) is not None,
        "training": bool(run.training),
        "varied": run.varied,
    }
    return {tag for tag, there in present.items() if not there}


def shown_table(table: pd.DataFrame, *, wrap: bool = False) -> HTML:
    """A DataFrame as an HTML table without its index; texts are escaped, and an empty one says so.

    wrap: long cells, such as replies of several sentences, are broken into lines.
    """
    if table.empty:
        return HTML("<p><em>Nothing to list.</em></p>")
    kind = "scroll wrap" if wrap else "scroll"
    return HTML(f'<div class="{kind}">{table.to_html(index=False, border=0, na_rep="")}</div>')


def folded(summary: str, table: pd.DataFrame, *, wrap: bool = False) -> HTML:
    """The table behind a line that opens on a click."""
    return HTML(f"<details><summary>{html.escape(summary)}</summary>{shown_table(table, wrap=wrap).data}</details>")


def write_figures(run: Run) -> list[Path]:
    """Saves the run's figures as `figures/*.png` and its tables as `tables/*.csv`; returns the paths."""
    written, shown = [], [animal_tables] if run.open else [report_tables, choice_tables]
    for folder in ("figures", "tables"):
        (run.folder / folder).mkdir(exist_ok=True)
    for name, table in (found for module in shown for found in module.all_tables(run).items()):
        written.append(run.folder / "tables" / f"{name}.csv")
        table.to_csv(written[-1], index=False)
    for name, draw in (found for module in shown for found in module.figures(run).items()):
        written.append(run.folder / "figures" / f"{name}.png")
        draw().savefig(written[-1], bbox_inches="tight")
    return written


def _execute(notebook: NotebookNode, parameters: dict[str, Any], *, name: str) -> NotebookNode:
    """The notebook, run by this very Python whatever kernels are installed; a failing cell becomes a RuntimeError."""
    import papermill
    from ipykernel.kernelspec import get_kernel_dict, make_ipkernel_cmd
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [*make_ipkernel_cmd(), "--IPKernelApp.log_level=40"]  # argv[0] is sys.executable; errors only
            return KernelSpec(**{**get_kernel_dict(), "argv": argv})

    try:
        return papermill.execute_notebook(
            notebook,
            None,
            parameters,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            log_output=False,
            kernel_manager_class=ThisPython,
        )
    except papermill.PapermillExecutionError as error:
        first = error.source.strip().splitlines()[0] if error.source.strip() else ""
        raise RuntimeError(
            f"the report stopped in cell {error.cell_index} of {name} ({first!r}): {error.ename}: {error.evalue}"
        ) from error


def _page(notebook: NotebookNode, *, title: str) -> str:
    """The executed notebook as one HTML page: no code, pictures inside, nothing fetched."""
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    heading = "figure"
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.findall(r"^#+ (.+)$", cell.source, flags=re.MULTILINE)):
            heading = found[-1]
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output.setdefault("metadata", {})["image/png"] = {"alt": f"Figure: {heading}"}
    config = Config()
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_cell_tags = (LEFT_OUT,)
    config.HTMLExporter.preprocessors = ["nbconvert.preprocessors.TagRemovePreprocessor"]
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        embed_images=True,
        config=config,
    )
    body, _ = exporter.from_notebook_node(notebook)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )
