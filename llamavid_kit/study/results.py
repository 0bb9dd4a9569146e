"""What the study published, and what its own prediction logs give when they are counted again; data, with sources.

The study is the blog post "Seeking the limitations of LLaMA-VID" by A. Tragoudaras, E. G. Lionis, O. Neut, T. Aslanidis
and V. Karlis (github.com/taslanidis/LLama-VID), which asked LLaMA-VID about surveillance videos and animals at 1 and 6
frames a second. `PUBLISHED` sources are its Tables 2 to 4; the counts were made from the replies in its evaluation logs
(`LOGS` names them), which are not part of this kit: `restudy` counts them again where a reader has them. Counts keep no
video's name and no reply's text.
"""

from dataclasses import dataclass

from llamavid_kit.study.setup import CRIME

SOURCE = "https://github.com/taslanidis/LLama-VID/blob/main/blogpost.md"


@dataclass(frozen=True)
class Setting:
    """One column of Tables 2 and 3. key: the name of its file of predictions; log: the study's job, None: none found.

    published: accuracy in percent (Table 2); classes: per-class accuracy in percent, in the order of TABLE_3_CLASSES
    """

    key: str
    name: str
    fine_tuned: bool
    fps: int
    log: str | None
    published: float
    classes: tuple[int, ...]


TABLE_3_CLASSES = tuple(sorted(CRIME.labels))
SETTINGS = (
    Setting(
        "zero_shot_fps1",
        "zero-shot, 1 fps",
        False,
        1,
        "crime-activity-preds-6391574",
        57.5,
        (50, 0, 43, 0, 10, 14, 25, 73, 91, 20, 0),
    ),
    Setting("zero_shot_fps6", "zero-shot, 6 fps", False, 6, None, 57.9, (50, 0, 43, 0, 10, 14, 25, 74, 91, 20, 0)),
    Setting(
        "finetuned_fps1",
        "fine-tuned, 1 fps",
        True,
        1,
        "crime-ft-fps1-activity-preds-6364933",
        62.0,
        (0, 0, 33, 50, 60, 40, 0, 79, 83, 60, 0),
    ),
    Setting(
        "finetuned_fps6",
        "fine-tuned, 6 fps",
        True,
        6,
        "crime-ft-fps6-activity-preds-6382022",
        65.3,
        (0, 0, 56, 100, 80, 35, 20, 80, 87, 60, 0),
    ),
)
BY_KEY = {setting.key: setting for setting in SETTINGS}
LOGGED = tuple(setting.key for setting in SETTINGS if setting.log)
COMPARISONS = (
    ("zero_shot_fps1", "zero_shot_fps6"),
    ("finetuned_fps1", "finetuned_fps6"),
    ("zero_shot_fps1", "finetuned_fps1"),
    ("zero_shot_fps6", "finetuned_fps6"),
)
"""Pairs that the study's text compares: more frames without and with fine-tuning, fine-tuning at each rate."""

TABLE_4_ANIMALS = {
    "zero_shot_fps1": (18.04, 1.32),
    "zero_shot_fps6": (19.50, 1.34),
    "finetuned_fps1": (34.06, 2.65),
    "finetuned_fps6": (34.89, 2.66),
}
"""Animal Kingdom by a judge: percent "yes" and mean score from 0 to 5, of 812 pairs. No prediction log was found."""

ZERO_SHOT_FPS6_REPORTED = ((103, 242), (95, 242))
"""Exact label matches of two identical zero-shot runs at 6 fps (temperature 0.2, no seed; 122 of 242 replies equal).

Reported by an earlier reading of the study's files; not among the logs that `restudy` reads, so not counted again.
"""

SAMPLED_FRAMES = {"most answered": 1798, "fewest skipped": 1806}
"""Over the three logs: the study skipped videos with more than 1,800 sampled frames."""

CODES = {
    "Abuse": "A",
    "Arrest": "R",
    "Arson": "S",
    "Assault": "T",
    "Burglary": "B",
    "Explosion": "E",
    "Fighting": "F",
    "Robbery": "Y",
    "Road Accident": "C",
    "Shooting": "H",
    "Normal Video": "N",
    "no label": "-",
    "skipped": ".",
}
JOINT = {
    "Abuse": "ACN1 NSB1",
    "Arrest": "-BB1 ASY1 AY.1 CCC1 NYY1",
    "Arson": "ASS3 -BS1 -CC1 -ES1 -TT1 ABB1 NBB1",
    "Assault": "-Y.1 AFT1 ATT1",
    "Burglary": "-BB2 ABB2 NBB2 -S.1 ASB1 AY.1 NB.1 NYB1 NYT1 NYY1",
    "Explosion": "-EE3 AEE2 CCC2 EEE2 -CT1 -SS1 ABB1 AET1 AS.1 ASS1 ATS1 NBB1 NNN1 NTT1 NYB1 NYN1",
    "Fighting": "-TT1 -YF1 ABY1 AET1 ATT1",
    "Normal Video": (
        "NNN70 -NN18 CCC12 CNN10 ANN9 NN.4 -YY3 -CC2 ...2 ACC2 AN.2 AYY2 CCN2 NYY2 -CN1 -N.1 -S-1 ACN1 ANY1 NBB1 NEN1 "
        "NNA1 NNC1 NY.1"
    ),
    "Road Accident": "CCC18 AST1 CNC1 CNN1 CTT1 SCC1",
    "Robbery": "AYY2 -YY1 CCC1 NNN1",
    "Shooting": "AYY4 ATT3 -CC2 ASS2 AYT2 CCC2 -SB1 -T.1 ABY1 CCT1 NBB1 NNN1 NYB1 NYY1",
}
"""True class → how many videos got which three labels, in the order of LOGGED, replies matched exactly (`CODES`).

"ASS3" under Arson: three videos that were called Abuse, Arson and Arson. A skipped video was never answered. The only
reply without a label among the fine-tuned is "Road", which the study's Figure 5 counts as Road Accident.
"""

_SHORT = ("exact", "normalised", "unique_mention", "first_mention", "last_mention")
BY_RULE = {
    "zero_shot_fps1": {
        "exact": (105, 47, 100, 43),
        "normalised": (107, 45, 102, 41),
        "unique_mention": (119, 23, 113, 21),
        "first_mention": (119, 5, 113, 3),
        "last_mention": (133, 5, 127, 3),
        "exact_plus_Road_prefix": (105, 47, 100, 43),
    },
    "finetuned_fps1": dict.fromkeys((*_SHORT, "exact_plus_Road_prefix"), (158, 0, 150, 0)),
    "finetuned_fps6": dict.fromkeys(_SHORT, (158, 1, 158, 1)) | {"exact_plus_Road_prefix": (158, 0, 158, 0)},
}
"""Setting → rule of `scoring.RULES` → right and without label, of the answered videos, then of the common 242."""

PAIRED_BY_RULE = {
    ("finetuned_fps1", "finetuned_fps6"): dict.fromkeys(BY_RULE["zero_shot_fps1"], (242, 4, 12)),
    ("zero_shot_fps1", "finetuned_fps1"): {
        "exact": (257, 9, 62),
        "normalised": (257, 9, 60),
        "unique_mention": (257, 15, 54),
        "first_mention": (257, 15, 54),
        "last_mention": (257, 17, 42),
        "exact_plus_Road_prefix": (257, 9, 62),
    },
}
"""Pair → rule → videos that both answered, right in the first only, in the second only."""

CLIPS_SEEN = {1 / 60: 13, 1 / 30: 33, 0.1: 70, 0.2: 87, 0.5: 100, 1: 102, 2: 102, 6: 102}
"""Frames a second → of the 102 common videos with an event, those with a sampled frame of one (30 frames a second).

`visibility.clip_curve` of the authors' test annotation of UCF-Crime. At 1 fps none is missed; nor is any of the 140
videos with an event, or of their 156 events (`study.UCF_CRIME_EVENTS`).
"""
CLIPS_WITH_EVENT = 102
BY_EVENT_LENGTH = (("shorter", 51, 24, 24, 1.0, 8.0), ("longer", 51, 16, 22, 9.0, 230.4))
"""Those 102 by annotated length: half, videos, right at 1 and at 6 fps (fine-tuned), shortest and longest in s."""
