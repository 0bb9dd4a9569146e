"""Hurts the kit in every way that we know, and counts what it survives. Ends with status 1 if anything was lost.

python tests/torture                    all parts, as `make torture` runs them
python tests/torture kills --share 0.1  one part, with a tenth of its trials
"""

import argparse
import importlib
import os
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
    args = parser.parse_args()
    from harness import Table

    rows, n_lost = ["| part | tried | survived | seconds |", "|---|---:|---:|---:|"], 0
    for name in args.parts or PARTS:
        table, began = Table(name), time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="torture-") as work:
            importlib.import_module(name).run(table, Path(work), share=args.share, seed=args.seed)
        seconds = time.perf_counter() - began
        for kind, n in table.tried.items():
            rows.append(f"| {name}: {kind} | {n:,} | {table.survived[kind]:,} | |")
        rows.append(f"| **{name}** | {table.tried.total():,} | {table.survived.total():,} | {seconds:.0f} |")
        n_lost += table.n_lost
    print("\n".join(["", *rows, "", f"{n_lost} lost" if n_lost else "nothing lost"]))
    return 1 if n_lost else 0


if __name__ == "__main__":
    sys.exit(main())
