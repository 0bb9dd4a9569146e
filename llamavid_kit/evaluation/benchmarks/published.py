"""What has been published about benchmarks: the authors' tables and the reproduction study's, with sources.

A number only stands beside one of the same resolution: the study set its runs of the 336-pixel checkpoint beside the
authors' 224-pixel row, and half of its Table 1's differences are that. Columns are named as in the authors' tables.

The authors' rows are those of their repository's README. The tables of their paper (arXiv 2311.17043) are not copied:
this module holds only what has been read at its source, so there is no row "paper", and `NO_PAPER` says so wherever
these rows are shown. What paperswithcode.com lists from the paper (paper/llama-vid-an-image-is-worth-2-tokens-in-large)
for MSRVTT-QA and ActivityNet-QA, 57.7 and 47.4 with 7B, 58.9 and 47.5 with 13B, are the README's numbers.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

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


def _row(cells: dict[str, str]) -> Row:
    values = {column: float(cells[column]) for column in IMAGE + VIDEO if cells[column]}
    source = README if cells["who"] == "authors" else BLOG
    return Row(cells["who"], cells["llm"], int(cells["image_size"]), values, source)


with Path(__file__).with_name("published.csv").open(encoding="utf-8", newline="") as file:
    ROWS = tuple(map(_row, csv.DictReader(file)))
"""The study's two rows are its runs of llama-vid-7b-full-336 and of llama-vid-7b-full-224-video-fps-1."""


def published(column: str, *, image_size: int) -> list[Row]:
    """The rows that hold `column` at this resolution, authors first; none for a resolution nobody published."""
    return [row for row in ROWS if row.image_size == image_size and column in row.values]
