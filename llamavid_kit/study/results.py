"""What the study published, and what its own prediction logs give when they are counted again; data, with sources.

The study is the blog post "Seeking the limitations of LLaMA-VID" by A. Tragoudaras, E. G. Lionis, O. Neut, T. Aslanidis
and V. Karlis (github.com/taslanidis/LLama-VID), which asked LLaMA-VID about surveillance videos and animals at 1 and 6
frames a second. What was published stands in its Tables 2 to 4; the counts were made from the replies in its evaluation
logs (`Setting.log` names them), which are not part of this kit: `recount` counts them again where a reader has them.
Both are in `study.toml`. Neither the counts nor `outcomes.csv` beside it keep a video's name or a reply's text.
"""

from dataclasses import dataclass
from pathlib import Path

from llamavid_kit.study.setup import CRIME, STUDY

SOURCE = "https://github.com/taslanidis/LLama-VID/blob/main/blogpost.md"


@dataclass(frozen=True)
class Setting:
    """One column of Tables 2 and 3. log: the study's job, None where no log was found.

    published: accuracy in percent (Table 2); classes: per-class accuracy in percent, in the order of TABLE_3_CLASSES
    """

    fine_tuned: bool
    fps: int
    published: float
    classes: tuple[int, ...]
    log: str | None = None

    @property
    def key(self) -> str:
        """What its file of predictions is called."""
        return f"{'finetuned' if self.fine_tuned else 'zero_shot'}_fps{self.fps}"

    @property
    def right(self) -> tuple[int, int] | None:
        """Right by exact match of the videos that every logged setting answered; None where no log was found."""
        return (BY_RULE[self.key]["exact"][2], N_COMMON) if self.log else None

    @property
    def name(self) -> str:
        return f"{'fine-tuned' if self.fine_tuned else 'zero-shot'}, {self.fps} fps"


TABLE_3_CLASSES = tuple(sorted(CRIME.labels))
SETTINGS = tuple(Setting(**setting) for setting in STUDY["settings"])
BY_KEY = {setting.key: setting for setting in SETTINGS}
COMPARISONS: tuple[tuple[str, str], ...] = STUDY["comparisons"]
"""Pairs that the study's text compares: more frames without and with fine-tuning, fine-tuning at each rate."""

TABLE_4_ANIMALS: dict[str, tuple[float, float]] = STUDY["table_4"]
"""Animal Kingdom by a judge: percent "yes" and mean score from 0 to 5, of 812 pairs. No prediction log was found."""

ZERO_SHOT_FPS6_REPORTED = ((103, 242), (95, 242))
"""Exact label matches of two identical zero-shot runs at 6 fps (temperature 0.2, no seed; 122 of 242 replies equal).

Reported by an earlier reading of the study's files; not among the logs that `read_logs` reads, so not counted again.
"""

SAMPLED_FRAMES = {"most answered": 1798, "fewest skipped": 1806}
"""Over the three logs: the study skipped videos with more than 1,800 sampled frames."""

OUTCOMES = Path(__file__).with_name("outcomes.csv")
"""A row a test video: its number, its true class, and the label that each logged setting gave, replies matched exactly.

"no label" is a reply that equals none; a skipped video was never answered. The only reply without a label among the
fine-tuned is "Road", which the study's Figure 5 counts as Road Accident.
"""

N_COMMON = 242  # videos that every logged setting answered
BY_RULE: dict[str, dict[str, tuple[int, int, int, int]]] = STUDY["by_rule"]
"""Setting → rule of `scoring.RULES` → right and without label, of the answered videos, then of the common 242."""

PAIRED_BY_RULE: dict[tuple[str, str], dict[str, tuple[int, int, int]]] = {
    (a, b): counts for a, others in STUDY["paired_by_rule"].items() for b, counts in others.items()
}
"""Pair → rule → videos that both answered, right in the first only, in the second only."""

CLIPS_SEEN = {1 / 60: 13, 1 / 30: 33, 0.1: 70, 0.2: 87, 0.5: 100, 1: 102, 2: 102, 6: 102}
"""Frames a second → of the 102 common videos with an event, those with a sampled frame of one (30 frames a second).

`visibility.clip_curve` of the authors' test annotation of UCF-Crime. At 1 fps none is missed; nor is any of the 140
videos with an event, or of their 156 events (`setup.UCF_CRIME_EVENTS`).
"""
CLIPS_WITH_EVENT = 102
BY_EVENT_LENGTH = (("shorter", 51, 24, 24, 1.0, 8.0), ("longer", 51, 16, 22, 9.0, 230.4))
"""Those 102 by annotated length: half, videos, right at 1 and at 6 fps (fine-tuned), shortest and longest in s."""
