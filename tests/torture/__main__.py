"""Hurts the kit in every way that we know, and counts what it survives. Ends with status 1 if anything was lost.

python tests/torture                    all parts, as `make torture` runs them
python tests/torture kills --share 0.1  one part, with a tenth of its trials
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "helpers"), str(HERE.parents[1])]
os.environ.setdefault("OMP_NUM_THREADS", "1")

PARTS = ("kills", "pairs", "videos", "frames", "texts", "wrong", "strangers", "limits", "scale")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="by default all")
    parser.add_argument("--share", type=float, default=1.0, help="of the trials of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--counts", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.counts:
        args.counts.write_text(json.dumps(_run(args.parts[0], args.share, args.seed)))
        return 0
    rows, n_lost = ["| part | tried | survived | seconds |", "|---|---:|---:|---:|"], 0
    for part in args.parts or PARTS:
        began, counts = time.perf_counter(), _in_a_process_of_its_own(part, args.share, args.seed)
        seconds, tried, survived = (
            time.perf_counter() - began,
            *(sum(column) for column in zip(*counts.values(), strict=True)),
        )
        rows += [f"| {part}: {kind} | {n:,} | {kept:,} | |" for kind, (n, kept) in counts.items()]
        rows.append(f"| **{part}** | {tried:,} | {survived:,} | {seconds:.0f} |")
        n_lost += tried - survived
    print("\n".join(["", *rows, "", f"{n_lost} lost" if n_lost else "nothing lost"]))
    return 1 if n_lost else 0


def _in_a_process_of_its_own(part: str, share: float, seed: int) -> dict[str, tuple[int, int]]:
    """Kind → (tried, survived). What other parts have imported would count as memory of this one's children."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        options = ["--share", str(share), "--seed", str(seed), "--counts", str(counts)]
        subprocess.run([sys.executable, str(HERE), part, *options], check=True)
        return json.loads(counts.read_text())


def _run(part: str, share: float, seed: int) -> dict[str, tuple[int, int]]:
    from harness import Table

    table = Table(part)
    with tempfile.TemporaryDirectory(prefix="torture-") as work:
        importlib.import_module(part).run(table, Path(work), share=share, seed=seed)
    return {kind: (n, table.survived[kind]) for kind, n in table.tried.items()}


if __name__ == "__main__":
    sys.exit(main())
