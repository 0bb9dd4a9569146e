"""What has been published about benchmarks: the authors' tables and the reproduction study's, with sources.

A number only stands beside one of the same resolution: the study set its runs of the 336-pixel checkpoint beside the
authors' 224-pixel row, and half of its Table 1's differences are that. Columns are named as in the authors' tables.

The authors' rows are those of their repository's README. The tables of their paper (arXiv 2311.17043) are not copied:
this module holds only what has been read at its source, so there is no row "paper", and `NO_PAPER` says so wherever
these rows are shown. What paperswithcode.com lists from the paper (paper/llama-vid-an-image-is-worth-2-tokens-in-large)
for MSRVTT-QA and ActivityNet-QA, 57.7 and 47.4 with 7B, 58.9 and 47.5 with 13B, are the README's numbers.
"""

from dataclasses import dataclass

README = "README of dvlab-research/LLaMA-VID"
BLOG = "the reproduction study's blog post, Table 1"
NO_PAPER = "the authors' numbers are their README's; the tables of their paper, arXiv 2311.17043, are not at hand here"
IMAGE = ("GQA", "MMB", "MME", "POPE", "SEED", "SQA-Image", "VizWiz", "VQA v2")
VIDEO = ("MSVD-QA", "MSRVTT-QA", "ActivityNet-QA", "Correctness", "Detail", "Context", "Temporal", "Consistency")


@dataclass(frozen=True)
class Row:
    """One row of a published table. image_size: pixels a side; values: column → percent, or a score of 0 to 5."""

    who: str
    llm: str
    image_size: int
    values: dict[str, float]
    source: str


def _row(who: str, llm: str, image_size: int, columns: tuple[str, ...], values: tuple[float, ...]) -> Row:
    return Row(who, llm, image_size, dict(zip(columns, values, strict=True)), README if who == "authors" else BLOG)


ROWS = (
    _row("authors", "Vicuna-7B", 224, IMAGE, (63.0, 65.3, 1405.6, 86.6, 59.7, 67.7, 52.5, 78.3)),
    _row("authors", "Vicuna-7B", 336, IMAGE, (64.3, 65.1, 1521.4, 86.0, 59.9, 68.3, 54.2, 79.3)),
    _row("authors", "Vicuna-13B", 336, IMAGE, (65.0, 66.6, 1542.3, 86.0, 62.3, 70.0, 54.3, 80.0)),
    _row("authors", "Vicuna-7B", 224, VIDEO, (69.7, 57.7, 47.4, 2.96, 3.0, 3.53, 2.46, 2.51)),
    _row("authors", "Vicuna-13B", 224, VIDEO, (70.0, 58.9, 47.5, 3.07, 3.05, 3.6, 2.58, 2.63)),
    # the study's runs of llama-vid-7b-full-336 …
    _row(
        "study",
        "Vicuna-7B",
        336,
        ("GQA", "MMB", "POPE", "SQA-Image", "VizWiz", "VQA v2"),
        (64.38, 65.63, 86.1, 68.22, 55.18, 79.25),
    ),
    # … and of llama-vid-7b-full-224-video-fps-1
    _row("study", "Vicuna-7B", 224, ("MSVD-QA",), (59.17,)),
)


def published(column: str, *, image_size: int) -> list[Row]:
    """The rows that hold `column` at this resolution, authors first; none for a resolution nobody published."""
    return [row for row in ROWS if row.image_size == image_size and column in row.values]
