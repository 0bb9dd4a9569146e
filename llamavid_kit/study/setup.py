"""What the LLaMA-VID reproduction study asked and how it split its data, as data: no code decides anything here.

Source: the study's scripts and logs (its UCF-Crime preparation, prompts and fine-tuning settings), quoted verbatim.
`pairs.multiple_choice_question(CRIME.task, CRIME.labels)` gives `CRIME.question`; a test pins every character.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ClosedTask:
    """A closed question: `question` asks for exactly one of `labels`, in that order; `task` is what stands before them.

    excluded_classes: classes of the data set that the study left out
    renamed: what a file name says → the label used
    """

    name: str
    task: str
    question: str
    labels: tuple[str, ...]
    excluded_classes: tuple[str, ...]
    renamed: dict[str, str]


NORMAL = "Normal Video"

CRIME = ClosedTask(
    name="crime",
    task="You will perform anomaly detection on a surveillance camera video. Classify the activity in the video",
    question=(
        "You will perform anomaly detection on a surveillance camera video. Classify the activity in the video by "
        "using ONLY ONE of the mentioned categories: Abuse, Arrest, Arson, Assault, Burglary, Explosion, Fighting, "
        "Robbery, Road Accident, Shooting, or Normal Video."
    ),
    labels=(
        "Abuse",
        "Arrest",
        "Arson",
        "Assault",
        "Burglary",
        "Explosion",
        "Fighting",
        "Robbery",
        "Road Accident",
        "Shooting",
        NORMAL,
    ),
    excluded_classes=("Shoplifting", "Stealing", "Vandalism"),
    renamed={"RoadAccidents": "Road Accident", "Normal Videos": NORMAL},
)


MAX_SAMPLED_FRAMES = 1800
"""A test video with more sampled frames than this was skipped: 2 of 259 at 1 fps, 17 at 6 fps."""

TRAINING_TIERS: dict[str, int | None] = {"all": None, "under_1800": 1800, "under_120": 120}
"""Training sets by length: fewer than so many frames at 1 fps. The study fine-tuned on `under_120`."""

STUDY_FPS = (1, 6)

UCF_CRIME_EVENTS: dict[str, Any] = {
    "n": 156,
    "shortest_s": 1.0,
    "median_s": 8.0,
    "seen": {1: 156, 2: 156, 3: 156, 6: 156},
}
"""What the authors' test annotation of UCF-Crime holds (290 videos), and how many events have a frame at each fps.

`visibility.visibility_curve` of the list at 30 frames a second: at 1 fps no event is missed, so missed events cannot
explain the study's difference between 1 and 6 fps. The toy world's much shorter events are another matter.
"""

ANIMAL_QUESTION = (
    "Find the action each animal performs in the video. Provide independent sentences for each animal and their "
    "corresponding action in the video. Do not repeat sentences. Pay careful attention, as some videos only have a "
    "single animal through the video."
)
"""What the study asked about Animal Kingdom's grounding videos: an open question, no choices."""

ANIMAL_TURNS = (
    (
        "Below is a video of animals performing some actions. Memorize the content and answer my question after this "
        "video. The video starts.\n<image>\nThe video ends.\n Tell me what are the distinct animal species in this "
        "video. If you notice a species twice only mention it once",
        "The distinct species I see are {species}",
    ),
    (
        "Tell me what are the distinct animal classes in this video. If you notice a the same class twice only mention "
        "it once",
        "The distinct categories I see are {classes}",
    ),
    (
        "Tell me for each animal what action it performs. Give independent unique sentences for each animal for each "
        "action.",
        "{sentences}",
    ),
)
"""(human, gpt) turns of the study's conversations about Animal Kingdom's action recognition; quirks are its own."""

ANIMAL_SENTENCE, ANIMAL_SENTENCES_JOINED_BY = "{animal} is {action}", ". "
