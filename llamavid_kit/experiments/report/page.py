"""A run's folder becomes a report: a notebook is executed on it and exported as one HTML page that fetches nothing.

The notebook puts in order what `tables`, `figures` and the sentences of `answer`, `text`, `choices` and `errors` make
of a `Run`. Here are the notebook's place, its execution, the parts of a section that belong together, and the page.
"""

import html
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from IPython.display import HTML, Markdown
from nbformat import NotebookNode

from llamavid_kit.experiments.arms import title
from llamavid_kit.experiments.report import choices, errors, tables, text
from llamavid_kit.experiments.report.figures import figure, figures
from llamavid_kit.experiments.report.provenance import command_line
from llamavid_kit.experiments.run import Run
from llamavid_kit.experiments.summary import Summary
from llamavid_kit.files import whole, write_whole, writing

NOTEBOOK, OPEN_NOTEBOOK = "crime_ablation.ipynb", "animal_ablation.ipynb"  # for closed and for open questions
LEFT_OUT = "notebook-only"  # cells with this tag are for people who open the notebook, not for readers of the report
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
TABLE = {"table", "thead", "tbody", "tr", "th", "td"}
TAGS = {"p", "br", "hr", "div", "span", "pre", "img", "details", "summary", *TABLE, *(f"h{n}" for n in range(1, 7))}
ATTRIBUTES = {"*": ["class", "id"], "img": ["src", "alt", "width", "height"], "td": ["align"], "th": ["align"]}
STYLE = Path(__file__).with_name("page.css")


def notebook_path(name: str = NOTEBOOK) -> Path:
    """A report's notebook: beside the package in a checkout, among its assets in an installed wheel."""
    package = Path(__file__).resolve().parents[2]
    places = (package.parent / "notebooks" / name, package / "assets" / name)
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"the report's notebook is neither {places[0]} nor {places[1]}; install llamavid-kit again")


def write_report(run_folder: str | Path | Summary, *, root: str | Path | None = None) -> Path:
    """Executes the notebook on a run's folder and writes `report.html` there, self-contained. Returns its path.

    run_folder: its path, or what `ablate` returned. root: the clips' folder, for the frames on the first page.
    Figures and tables go to `figures/*.png` and `tables/*.csv` too. Raises RuntimeError naming the cell that failed.
    """
    run = Run(run_folder)
    with writing(run.folder):
        return _write_report(run, root)


def _write_report(run: Run, root: str | Path | None) -> Path:
    run.check()
    write_figures(run)
    path = notebook_path(OPEN_NOTEBOOK if run.open else NOTEBOOK)
    notebook = nbformat.read(path, as_version=4)
    absent = absent_tags(run)
    notebook.cells = [cell for cell in notebook.cells if not absent & set(cell.metadata.get("tags", ()))]
    given = {"RUN": run.folder, "ROOT": root}
    parameters = {name: place and str(Path(place).resolve()) for name, place in given.items()}
    notebook = execute(notebook, parameters | {"COMMAND": command_line()}, name=path.name)
    path = run.folder / "report.html"
    write_whole(path, page(notebook, title=f"Ablation: {run.name}"))
    return path


def absent_tags(run: Run) -> set[str]:
    """Tags of the notebook's cells that this run has nothing for; its report goes without them."""
    present = {
        "generation": "generation" in run.answering,
        "likelihood": "likelihood" in run.answering,
        "study": bool(run.animals) or tables.has_study_labels(run),
        "events": any(run.test["events"]),
        "groups": bool(run.summary["groups"]),
        "binary": f"confusion_binary_{run.answering[0]}" in figures(run),
        "training": bool(run.training),
        "animals": bool(run.animals),
        "order": "order" in run.families,
        "prompts": "prompt" in run.families,
        "listed": "order" not in run.families,
        "no-training": not run.seeds,
        "one-seed": len(run.seeds) == 1,
        "several-seeds": len(run.seeds) > 1,
        "judged": run.open and not run.animals,
    }
    return {tag for tag, there in present.items() if not there}


def family_section(run: Run, family: str) -> Iterator[Any]:
    """What the report says of one factor: heading, sentences, differences as figure and table, and the single clips.

    Of a factor that the main tables leave out, also every arm's numbers and receipt.
    """
    yield Markdown(f"### {title(family)}\n\n{text.family(run, family)}")
    yield figure(run, f"paired_{family}")
    yield shown_table(tables.paired_table(run, family))
    if family in run.varied:  # the main tables leave it out
        first, *others = run.answering
        yield shown_table(tables.arm_table(run, first, every=True))
        for way in others:
            yield folded(f"Every arm, {way}", tables.arm_table(run, way, every=True))
    for row in tables.paired(run, family).itertuples():
        if len(table := tables.discordant(run, row.key_a, row.key_b)):
            n_clips = text.plural(len(table), "clip")
            yield folded(f"{n_clips} right in only one: {row.a} (first) against {row.b} (second)", table)


def mistakes_section(run: Run, key: str) -> Iterator[Any]:
    """What an arm took for what: a sentence, and the matrix where there is one to draw."""
    yield Markdown(text.mistakes(run, key))
    if matrix := figure(run, f"confusion_{key}"):
        yield matrix


def shown_table(table: pd.DataFrame) -> HTML:
    """A DataFrame as an HTML table without its index; texts are escaped, and an empty one says so."""
    if table.empty:
        return HTML("<p><em>Nothing to list.</em></p>")
    return HTML(table.to_html(index=False, border=0, na_rep=""))


def folded(summary: str, table: pd.DataFrame) -> HTML:
    """The table behind a line that opens on a click."""
    return HTML(f"<details><summary>{html.escape(summary)}</summary>{shown_table(table).data}</details>")


def write_figures(run: Run) -> list[Path]:
    """Saves the run's figures as `figures/*.png` and its tables as `tables/*.csv`; returns the paths."""
    written = []
    for folder in ("figures", "tables"):
        (run.folder / folder).mkdir(exist_ok=True)
    all_tables = tables.all_tables(run) | (errors.all_tables(run) if run.open else choices.all_tables(run))
    for name, table in all_tables.items():
        written.append(run.folder / "tables" / f"{name}.csv")
        write_whole(written[-1], table.to_csv(index=False))
    for name, draw in figures(run).items():
        written.append(run.folder / "figures" / f"{name}.png")
        with whole(written[-1]) as part:
            draw().savefig(part, bbox_inches="tight")
    return written


def execute(notebook: NotebookNode, parameters: dict[str, Any], *, name: str, progress: bool = False) -> NotebookNode:
    """The notebook, run by this very Python whatever kernels are installed; a failing cell becomes a RuntimeError.

    progress: shows how many of its cells are done.
    """
    import papermill
    from ipykernel.kernelspec import get_kernel_dict, make_ipkernel_cmd
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [*make_ipkernel_cmd(), "--IPKernelApp.log_level=40"]  # argv[0] is sys.executable; errors only
            return KernelSpec(**{**get_kernel_dict(), "argv": argv})

        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]  # a function it is, there
            """Whatever stops the kernel in the middle is not to be read beside what is said of it."""
            await super().start_kernel(**kwargs, stderr=subprocess.DEVNULL)

    try:
        return papermill.execute_notebook(
            notebook,
            None,
            parameters,
            kernel_name="python3",
            language="python",
            progress_bar={"desc": name} if progress else False,
            log_output=False,
            kernel_manager_class=ThisPython,
        )
    except papermill.PapermillExecutionError as error:
        first = error.source.strip().splitlines()[0] if error.source.strip() else ""
        raise RuntimeError(
            f"{name} stopped in cell {error.cell_index} ({first!r}): {error.ename}: {error.evalue}"
        ) from error


def page(notebook: NotebookNode, *, title: str) -> str:
    """The executed notebook as one HTML page: no code, pictures inside, nothing fetched, nothing run.

    Texts from outside are escaped where sentences are made (`tables.plain`); the list of tags and the policy are walls
    behind that.
    """
    import bleach
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    heading = "figure"
    for k, cell in enumerate(notebook.cells):
        cell.id = f"cell-{k}"  # some are drawn at random, and stand in the page
        if cell.cell_type == "markdown":
            heading = _heading(cell.source) or heading
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            heading = _heading(data.get("text/markdown", "")) or heading
            if "image/png" in data:
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
        config=config,
    )
    body, _ = exporter.from_notebook_node(notebook)
    body = bleach.clean(body, tags=bleach.ALLOWED_TAGS - {"a"} | TAGS, attributes=ATTRIBUTES, protocols={"data"})
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def _heading(text: str) -> str:
    """The last heading of a Markdown text, "" where it has none."""
    return "".join(re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)[-1:])
