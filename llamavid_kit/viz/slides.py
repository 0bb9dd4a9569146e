"""A saved notebook becomes slides: one HTML file with its pictures inside, which opens without a network.

No cell carries a tag for it. A slide is made of what the course's notebooks have anyway: their title; each section's
heading with its first paragraph; each paragraph that asks for a guess (**Predict**), and then what came out; each
picture, with the sentence that reads it; exercises and recap. Code stays in the notebook, to be run before the class.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from string import Template

from nbformat import NotebookNode

PAGE = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
WHOLE = ("Exercises", "Recap")  # sections that are shown to their end
TAGS = {"p", "em", "strong", "code", "pre", "ul", "ol", "li", "sub", "sup"}
LONGEST, CAPTION, LINES = 330, 160, 9  # characters of an opening and below a picture, lines of a printed result


def slides(notebook: NotebookNode) -> str:
    """A notebook with its saved outputs → the HTML page of its slides.

    Raises ValueError where no picture was saved: such slides would be words alone.
    """
    made = list(_slides(notebook))
    if not any("<img" in text for _, _, text in made):
        raise ValueError("no picture is saved in this notebook: run it in JupyterLab, save it, and make slides again")
    title = made[0][1]
    body = "\n".join(
        f'<section class="{kind}"><header>{html.escape("" if kind == "title" else place)}</header>\n{text}\n</section>'
        for kind, place, text in made
    )
    return PAGE.substitute(title=html.escape(title), body=body)


def _slides(notebook: NotebookNode) -> Iterator[tuple[str, str, str]]:
    """(kind, section's heading, HTML) of each slide, in order."""
    place, guessed = "", False
    for cell, after in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        parts = cell.source.split("\n\n")
        for k, part in enumerate(parts if cell.cell_type == "markdown" else ()):
            level, _, heading = part.partition(" ")
            if level in ("#", "##"):
                place = re.sub(r"[`*]", "", heading)
                if opening := _opening(place, parts[k + 1 :]):
                    size = len(level)
                    yield _kind(level, place), place, f"<h{size}>{html.escape(place)}</h{size}>\n{opening}"
            elif "**Predict" in part:
                yield "guess", place, f"<h2>Predict</h2>\n{_question(parts, k)}"
        if cell.cell_type == "code":
            asks = "my_guess = " in cell.source
            if shown := _result(cell, place, printed=asks or guessed):
                yield "guess" if asks else "result", place, shown + _caption(after)
            guessed = asks or (guessed and not shown)


def _kind(level: str, place: str) -> str:
    return "title" if level == "#" else "list" if place in WHOLE else "section"


def _opening(place: str, parts: list[str]) -> str:
    """What stands below a heading: the first paragraph, and the next one where the first ends in a colon."""
    if place in WHOLE:
        return _text("\n\n".join(part for part in parts if not part.startswith("**Next")))
    if not parts or not _is_prose(parts[0]):
        return ""
    if parts[0].endswith(":") and parts[1:]:
        return _text("\n\n".join(parts[:2]))
    return _text(_sentences(parts[0], LONGEST))


def _question(parts: list[str], k: int) -> str:
    """What paragraph k asks, after the one that leads to it; what a section begins with stands on a slide already."""
    before = parts[k - 1] if k else ""
    if not _is_prose(before) or len(before) >= LONGEST or parts[max(0, k - 2)].startswith("## "):
        before = ""
    return _text(f"{before}\n\n{parts[k].removeprefix('**Predict.** ')}")


def _result(cell: NotebookNode, place: str, *, printed: bool) -> str:
    """A cell's pictures; with `printed` also what it printed, without the line that repeats the reader's guess."""
    shown = ""
    for output in cell.outputs:
        data = output.get("data", {})
        for kind in {"image/png", "image/jpeg"} & data.keys():
            shown += f'<img alt="{html.escape(place)}" src="data:{kind};base64,{"".join(data[kind].split())}">\n'
        words = re.sub(r"you(r guess| guessed)\s*:[^|\n]*(\| |\n|$)", "", output.get("text", "")).strip("\n")
        if printed and words and words.count("\n") < LINES:
            shown = f"<pre>{html.escape(words)}</pre>\n{shown}"
    return shown


def _caption(after: NotebookNode | None) -> str:
    """The sentence that follows a picture in the notebook, where it is prose."""
    first = after.source.split("\n\n")[0] if after is not None and after.cell_type == "markdown" else ""
    if not _is_prose(first) or first.startswith(("**", "Now ")):  # another thought begins
        return ""
    return f"<footer>{_text(_sentences(first, CAPTION))}</footer>"


def _is_prose(part: str) -> bool:
    return bool(part) and part[0] not in "#<|!-`" and "**Predict" not in part


def _sentences(text: str, most: int) -> str:
    """The first sentence, and as many more as stay within `most` characters, none that leads to what is not shown."""
    kept = ""
    for sentence in re.split(r"(?<=[.?!])\s+|(?<=[.?!]\*\*)\s+|(?<=[.?!]\))\s+", text):
        full = len(kept) + len(sentence) >= most and not kept.endswith("?")  # a question comes with its answer
        if sentence.endswith(":") or (kept and full):
            break
        kept = f"{kept} {sentence}".strip()
    return kept


def _text(markdown: str) -> str:
    """Markdown → HTML without links, pictures or scripts, which a slide could fetch or run."""
    import bleach
    from nbconvert.filters import markdown2html

    return bleach.clean(markdown2html(markdown), tags=TAGS, attributes={}, strip=True)
