"""`experiments`: the laboratory's notebooks run one after the other, and one page of what they found."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamavid_kit.commands.options import MODEL_HELP, PACKED, QUANTISE_HELP

LAB = Path(__file__).resolve().parents[2] / "notebooks" / "lab"
OPENING = """# The laboratory

Each experiment asks one question. What its authors expected was written down and committed before it ran; the commit
is named. At its end stands what was found, flattering or not, and of every prediction whether it *held* (all of the
number's 95% interval, in brackets, lies where it was expected), did *not hold* (none of it does), or is *undecided*.
"""


def experiments_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", help="beginnings of notebooks' names, such as 1 (default: all)")
    parser.add_argument("--model", default="tiny", help=MODEL_HELP)
    parser.add_argument("--quantise", choices=PACKED, help=QUANTISE_HELP)
    parser.add_argument("--out", type=Path, default=Path("runs/lab"), help="folder (default: runs/lab)")
    parser.add_argument("--quick", action="store_true", help="few clips of a world for choices: nothing is concluded")


def experiments(args: argparse.Namespace) -> None:
    """Runs that are there already go on where they stopped, or are read. Raises ValueError for an unknown name."""
    import nbformat

    from llamavid_kit.experiments.report.page import execute, page
    from llamavid_kit.files import write_whole

    paths = chosen(args.names)
    out = args.out.with_name(args.out.name + "-quick") if args.quick else args.out
    cells = [nbformat.v4.new_markdown_cell(OPENING)]
    for path in paths:
        folder = (out / path.stem).resolve()
        given = {"MODEL": args.model, "QUANTISE": args.quantise, "OUT": str(folder), "QUICK": args.quick}
        given["FOLDER"] = str(LAB)
        folder.mkdir(parents=True, exist_ok=True)
        notebook = execute(nbformat.read(path, as_version=4), given, name=path.name, progress=True)
        write_whole(folder / "notebook.ipynb", nbformat.writes(notebook))
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
        cells += notebook.cells
    report = out / "report.html"
    write_whole(report, page(nbformat.v4.new_notebook(cells=cells), title="The laboratory"))
    print(f"report: {report}")


def chosen(names: Sequence[str]) -> list[Path]:
    """Notebooks in the order of their numbers: those that begin so, a number being whole; without names, all.

    Raises FileNotFoundError where there are none, ValueError for a name that begins none.
    """
    paths = sorted(LAB.glob("[0-9]*.ipynb"), key=lambda path: int(path.stem.split("_")[0]))
    if not paths:
        raise FileNotFoundError(f"{LAB} holds no experiment: they come with the source, not with an installed package")
    beginnings = {name: f"{name}_" if name.isdigit() else name for name in names}
    if unknown := [name for name, begins in beginnings.items() if not any(p.stem.startswith(begins) for p in paths)]:
        raise ValueError(f"{unknown}: expected the beginning of one of {', '.join(path.stem for path in paths)}")
    return [path for path in paths if not names or path.stem.startswith(tuple(beginnings.values()))]


def _is_progress(output: Mapping[str, Any]) -> bool:
    """Bars, warnings, and the trainer's table of losses: nothing that was found."""
    return output.get("name") == "stderr" or "<progress" in output.get("data", {}).get("text/html", "")
