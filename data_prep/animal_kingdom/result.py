"""What the preparation of Animal Kingdom made, what it left out and why: the record, its counts, its files.

Input: pairs and conversations (see `pairs`). Output: a folder of JSONL and LLaVA JSON with `excluded.json`. How a set
comes about is told in `folder`.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from data_prep.animal_kingdom.pairs import Conversation, write_conversations
from data_prep.dataset import Exclusion, count_by
from llamavid_kit.data.pairs import SPLITS, InstructionPair, write_jsonl, write_llava
from llamavid_kit.files import write_whole, writing

ACTIONS = "actions"


@dataclass
class AnimalSet:
    """What `build` made. pairs: "grounding", "choice_species", "choice_action", "choice_class" → pairs of both splits.

    conversations: "actions", of the sheet, several turns each
    excluded: `left_out_of` is one of these kinds; `reason` is "both splits", "missing", "unreadable", "too long",
        "annotation" (contradicts the video or itself), "no class"; for choices also "name", "general name", "too few
        names" (see `choices.draw`)
    n_listed: kind → split → videos its list holds
    refused: kind of choice → names that no multiple-choice question can hold
    """

    pairs: dict[str, list[InstructionPair]] = field(default_factory=dict)
    conversations: list[Conversation] = field(default_factory=list)
    excluded: list[Exclusion] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    n_listed: dict[str, dict[str, int]] = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)

    def kinds(self) -> Iterator[tuple[str, str, list]]:
        """(kind, split, its pairs or conversations), for each kind whose list was there."""
        for kind in self.n_listed:
            records = self.conversations if kind == ACTIONS else self.pairs[kind]
            for split in SPLITS:
                yield kind, split, [record for record in records if record.split == split]

    def counts(self) -> dict[str, Any]:
        """Listed, left out by kind, split and reason, kept; sentences, sizes of choices, turns. JSON values."""
        n_pairs: dict[str, dict[str, int]] = {}
        for kind, split, records in self.kinds():
            n_pairs.setdefault(kind, {})[split] = len(records)
        sentences = [[s["sentence"] for s in pair.extra["sentences"]] for pair in self.pairs.get("grounding", [])]
        n_choices = {k: Counter(len(p.choices) for p in pairs) for k, pairs in self.pairs.items() if k != "grounding"}
        turns = Counter(len(c.turns) for c in self.conversations)
        return {
            "listed": self.n_listed,
            "excluded": count_by(self.excluded, "left_out_of", "split", "reason"),
            "kept": n_pairs,
            "sentences": {
                "videos": len(sentences),
                "annotated": sum(map(len, sentences)),
                "doubles_removed": sum(len(texts) - len(set(texts)) for texts in sentences),
                "median_a_video": median(len(set(texts)) for texts in sentences) if sentences else None,
            },
            "choices": {kind: {str(k): n for k, n in sorted(sizes.items())} for kind, sizes in n_choices.items()},
            "turns": {str(k): n for k, n in sorted(turns.items())},
        }

    def write(self, out: str | Path, *, settings: dict[str, Any] | None = None) -> list[Path]:
        """Writes each kind and split, pairs as JSONL and LLaVA JSON, conversations as the latter, and `excluded.json`.

        settings: what the set was made with, kept in `excluded.json`. Returns the paths.
        """
        out = Path(out)
        with writing(out):
            paths = []
            for kind, split, records in self.kinds():
                name = f"{kind}_{split}"
                if kind == ACTIONS:
                    paths.append(write_conversations(records, out / f"{name}.llava.json"))
                else:
                    paths += [
                        write_jsonl(records, out / f"{name}.jsonl"),
                        write_llava(records, out / f"{name}.llava.json"),
                    ]
            report = {
                "settings": settings or {},
                "counts": self.counts(),
                "excluded": [asdict(e) for e in self.excluded],
            }
            report |= {"names_never_offered": self.refused, "notes": self.notes}
            write_whole(out / "excluded.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
            return [*paths, out / "excluded.json"]
