"""Where the clips of a wildlife set lie and what they are called: Animal Kingdom's folders, eight-letter names,
sentence lists and action table, for the toy world's animals. Knows which clip has which seed; draws nothing."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.toy_world.sets import SEED_LIMIT, SPLITS, TRUTH, VERSION, hash_of, stored_boxes
from data_prep.toy_world.timing import FPS
from data_prep.toy_world.wildlife.clip import WildPlan, plan_wild, sentence
from data_prep.toy_world.wildlife.scene import first_species
from data_prep.toy_world.wildlife.species import NUMBERS, SPECIES
from llamavid_kit.files import write_whole

TABLE, DURATIONS = "AR_metadata.csv", "annotation/durations.csv"
COLUMNS = ("S/N", "video_id", "type", "labels", "list_animal_action", "list_animal", "list_animal_parent_class")
LETTERS = 26


@dataclass(frozen=True)
class WildConfig:
    """What a set consists of: clips a split; `event_s`: shortest and longest brief action, seconds."""

    n_train: int = 120
    n_test: int = 60
    seed: int = 0
    event_s: tuple[float, ...] = (0.1, 3.0)
    world: str = "wildlife"
    version: int = VERSION

    def __post_init__(self):
        for name in ("n_train", "n_test", "seed"):
            if (n := getattr(self, name)) < 0:
                raise ValueError(f"{name}={n}: give 0 or more")
        plan_wild(0, brief=None, event_s=self.event_s)


@dataclass(frozen=True)
class WildEntry:
    """One clip of a set, before anything is drawn."""

    code: str
    split: str
    seed: int
    event_s: tuple[float, ...]

    @property
    def path(self) -> str:
        """Relative to the set's folder."""
        return f"Videos/{self.code}.mp4"

    def plan(self) -> WildPlan:
        return plan_wild(self.seed, event_s=self.event_s)


def wild_entries(config: WildConfig) -> list[WildEntry]:
    """All clips, training first, by name within a split. Every species is the first animal of as many clips as every
    other one (±1); the second animal is whichever the seed draws."""
    clips: list[WildEntry] = []
    for split, n in zip(SPLITS, (config.n_train, config.n_test), strict=True):
        seeds = [clip_seed(config.seed, split, index) for index in range(n)]
        clips += sorted((WildEntry(clip_code(s), split, s, config.event_s) for s in seeds), key=lambda e: e.code)
    if len({entry.code for entry in clips}) < len(clips):
        raise ValueError(f"seed={config.seed} gives two clips the same name; use another one")
    return clips


def clip_seed(world: int, split: str, index: int) -> int:
    """Seed of a clip: the first hash of world, split and index whose first animal is the one whose turn it is."""
    name = list(SPECIES)[index % len(SPECIES)]
    for attempt in range(10_000):
        seed = hash_of([world, SPLITS.index(split), index, attempt, 77]) % SEED_LIMIT
        if first_species(seed, tuple(SPECIES)) == name:
            return seed
    raise AssertionError("no seed draws the species")


def clip_code(seed: int) -> str:
    """Eight capital letters, as Animal Kingdom names its clips."""
    number = hash_of([seed, 88])
    return "".join(chr(ord("A") + number // LETTERS**k % LETTERS) for k in range(8))


def write_wild_lists(out: Path, clips: Sequence[WildEntry]) -> None:
    """Sentence lists, durations, action table and `truth.jsonl`, each replaced as a whole."""
    plans = {entry.code: entry.plan() for entry in clips}
    (out / "annotation").mkdir(exist_ok=True)
    for split in SPLITS:
        lines = [line for e in clips if e.split == split for line in annotation(e.code, plans[e.code])]
        write_whole(out / f"annotation/{split}.txt", "".join(f"{line}\n" for line in lines))
    durations = [(entry.code, f"{plans[entry.code].n_frames / FPS:.1f}") for entry in clips]
    write_whole(out / DURATIONS, _csv([("video_id", "duration_s"), *durations]))
    rows = [(n, entry.code, entry.split, *_actions(plans[entry.code])) for n, entry in enumerate(clips, 1)]
    write_whole(out / TABLE, _csv([COLUMNS, *rows]))
    lines = [json.dumps(truth(entry, plans[entry.code]), separators=(",", ":")) for entry in clips]
    write_whole(out / TRUTH, "".join(f"{line}\n" for line in lines))


def annotation(code: str, plan: WildPlan) -> list[str]:
    """One line a segment: `CODE start end##The lion is walking.`, seconds to one decimal, start before end."""
    lines = []
    for animal, action, start_s, end_s in plan.segments:
        start, end = round(start_s, 1), round(end_s, 1)
        end = end if end > start else start + 0.1
        lines.append(f"{code} {start:.1f} {end:.1f}##{sentence(animal, action)}")
    return lines


def _actions(plan: WildPlan) -> tuple[str, str, str, str]:
    """Numbers of the actions; (animal, action) pairs, the animal of each pair, and classes as Python lists."""
    pairs = list(dict.fromkeys((animal.capitalize(), action) for animal, action, _, _ in plan.segments))
    labels = dict.fromkeys(str(NUMBERS[action]) for _, action in pairs)
    classes = list(dict.fromkeys(plan.facts["classes"]))
    return ",".join(labels), str(pairs), str([animal for animal, _ in pairs]), str(classes)


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def truth(entry: WildEntry, plan: WildPlan) -> dict[str, Any]:
    """All that is known of a clip. `events`: [animal, brief action, start_s, end_s]; `pseudo_event`: the interval that
    every clip has, also one without brief action; `segments`: [animal, action, start_s, end_s]; `boxes`: animal →
    [[frame, x0, y0, x1, y1], …] in pixels, every BOX_STRIDE frames and at the interval's first frame."""
    span = [round(plan.start_s, 4), round(plan.end_s, 4)]
    return {
        "video": entry.path,
        "video_id": entry.code,
        "split": entry.split,
        "seed": entry.seed,
        "n_frames": plan.n_frames,
        "fps": FPS,
        "events": [] if plan.brief is None else [[plan.who, plan.brief, *span]],
        "pseudo_event": span,
        "segments": [[animal, action, round(start, 4), round(end, 4)] for animal, action, start, end in plan.segments],
        "facts": plan.facts,
        "boxes": stored_boxes(plan),
    }
