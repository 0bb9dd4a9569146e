"""What the preparation of UCF-Crime made, what it left out and why: the record, its counts, its files."""

import csv
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_prep.dataset import Exclusion, count_by
from llamavid_kit.data.pairs import InstructionPair, write_jsonl, write_llava
from llamavid_kit.files import whole, write_whole, writing


@dataclass
class CrimeSet:
    """What `build` made. test: pairs that every rate in `fps` admits; train: training set name → pairs.

    excluded: `left_out_of` is "test", "train" for all training sets, or one of them ("train_under_120"); `reason` is
        "class" (outside the 11), "missing", "unreadable", "too long" or "annotation" (events do not fit the file)
    test_at_fps: rate → number of test videos that this rate alone admits (lengths unknown count as admitted)
    lengths: file name → (n_frames, fps) of every video that was looked at or is in the table of lengths
    """

    test: list[InstructionPair] = field(default_factory=list)
    train: dict[str, list[InstructionPair]] = field(default_factory=dict)
    excluded: list[Exclusion] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    n_listed: dict[str, int] = field(default_factory=dict)
    test_at_fps: dict[int, int] = field(default_factory=dict)
    lengths: dict[str, tuple[int, float]] = field(default_factory=dict)

    def sets(self) -> dict[str, list[InstructionPair]]:
        """File name → pairs: the test set and each training set."""
        return {"test": self.test, **{f"train_{tier}": pairs for tier, pairs in self.train.items()}}

    def counts(self) -> dict[str, Any]:
        """Listed, left out by set and reason, kept; JSON values."""
        left_out = count_by(self.excluded, "left_out_of", "reason")
        return {
            "listed": self.n_listed,
            "of_the_11_classes": {s: n - left_out.get(s, {}).get("class", 0) for s, n in self.n_listed.items()},
            "excluded": left_out,
            "test_at_fps": {str(fps): n for fps, n in self.test_at_fps.items()},
            "kept": {name: len(pairs) for name, pairs in self.sets().items()},
        }

    def write(self, out: str | Path) -> list[Path]:
        """Writes each set as JSONL and LLaVA JSON, `excluded.json` and `frame_counts.csv`. Returns their paths."""
        out = Path(out)
        with writing(out):
            paths = []
            for name, pairs in self.sets().items():
                paths += [write_jsonl(pairs, out / f"{name}.jsonl"), write_llava(pairs, out / f"{name}.llava.json")]
            report = {"counts": self.counts(), "excluded": [asdict(e) for e in self.excluded], "notes": self.notes}
            write_whole(out / "excluded.json", json.dumps(report, indent=1) + "\n")
            rows = [(name, n, f"{fps:g}") for name, (n, fps) in sorted(self.lengths.items())]
            with whole(out / "frame_counts.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("video", "n_frames", "video_fps"), *rows])
            return [*paths, out / "excluded.json", out / "frame_counts.csv"]
