"""A study's predictions, one CSV a setting, read strictly, and the counts that they give under every matching rule.

Columns: video, n_frames, video_fps, sampled_frames, truth, prediction; a row with an empty prediction is a video that
was opened and skipped. `records` gives each log, rule and set of clips in one fixed layout, for files and for tests;
what the numbers mean is left to `recount` and `claims`.
"""

import csv
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from llamavid_kit.evaluation.scoring import ArmTable, RuleName, collapse, label_of, score
from llamavid_kit.evaluation.statistics import compare_arms
from llamavid_kit.files import csv_text
from llamavid_kit.study.results import BY_KEY, COMPARISONS, SETTINGS, TABLE_3_CLASSES
from llamavid_kit.study.setup import CRIME, NORMAL, STUDY

log = logging.getLogger(__name__)

COLUMNS = ("video", "n_frames", "video_fps", "sampled_frames", "truth", "prediction")
RULES: tuple[RuleName, ...] = get_args(RuleName)
FILES = ", ".join(f"{s.key}.csv ({s.name}{'' if s.log else ', of which no log was found'})" for s in SETTINGS)


@dataclass(frozen=True)
class Prediction:
    """One row. reply: the model's text, or None where the video was skipped; n_frames, fps: of the video file."""

    video: str
    n_frames: int
    fps: float
    sampled_frames: int
    truth: str
    reply: str | None


Log = dict[str, Prediction]


def read_log(path: Path) -> Log:
    """{video: Prediction} of one file. Raises ValueError naming file, line and value for what does not fit."""
    rows: Log = {}
    with csv_text(path) as file:
        reader = csv.DictReader(file)
        if absent := set(COLUMNS) - set(reader.fieldnames or ()):
            raise ValueError(f"{path}: columns {sorted(absent)} are missing; it has {reader.fieldnames}")
        for row in reader:
            prediction = _prediction(row, f"{path}, line {reader.line_num}")
            if prediction.video in rows:
                raise ValueError(f"{path}, line {reader.line_num}: {prediction.video} was already listed; remove one")
            rows[prediction.video] = prediction
    if not rows:
        raise ValueError(f"{path} lists no predictions")
    return rows


def _prediction(row: Mapping[str, str], where: str) -> Prediction:
    if None in row.values() or None in row:
        raise ValueError(f"{where}: {len([v for v in row.values() if v])} fields; expected {', '.join(COLUMNS)}")
    try:
        n_frames, fps, sampled = int(row["n_frames"]), float(row["video_fps"]), int(row["sampled_frames"])
    except ValueError:
        n_frames, fps, sampled = 0, 0.0, 0
    if not (0 < sampled <= n_frames and 0 < fps < 1000):
        values = ", ".join(f"{column}={row[column]!r}" for column in COLUMNS[1:4])
        raise ValueError(f"{where}: {values}; expected 0 < sampled_frames <= n_frames, and frames a second")
    if row["truth"] not in CRIME.labels:
        raise ValueError(f"{where}: truth {row['truth']!r}; expected one of {', '.join(CRIME.labels)}")
    if not row["video"].strip():
        raise ValueError(f"{where}: video is empty")
    return Prediction(row["video"], n_frames, fps, sampled, row["truth"], row["prediction"] or None)


def read_logs(folder: str | Path) -> dict[str, Log]:
    """{setting: log} of the files in `folder` that are named by the keys of `results.SETTINGS`, in that order.

    Files of other names are left alone, and the logging says so. Raises FileNotFoundError for no folder and for one
    without such a file, and ValueError where two logs disagree about which videos there are or what is true of them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; expected the one with the study's prediction files (CSV)")
    paths = {key: folder / f"{key}.csv" for key in BY_KEY if (folder / f"{key}.csv").is_file()}
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv"):
        if path not in paths.values():
            log.warning("%s is not read: %s", path, _right_name(path.stem))
    if not paths:
        raise FileNotFoundError(
            f"{folder} holds none of {FILES}; each has the columns {', '.join(COLUMNS)}. Without a folder of "
            "predictions the counts that ship with the kit are read"
        )
    logs = {key: read_log(path) for key, path in paths.items()}
    first, *others = logs
    for other in others:
        a, b = ({v: (p.truth, p.n_frames, p.fps) for v, p in logs[key].items()} for key in (first, other))
        if differing := sorted(v for v in a.keys() | b.keys() if a.get(v) != b.get(v)):
            raise ValueError(
                f"{first} and {other} disagree about {len(differing)} videos, such as {differing[0]}: "
                f"{a.get(differing[0], 'not listed')} and {b.get(differing[0], 'not listed')} (truth, n_frames, fps); "
                "logs of one test set list the same videos"
            )
    return logs


def _right_name(stem: str) -> str:
    """What a file of predictions should be called, of one that has a setting's name as it is printed, or its log's."""
    words, digits = re.sub(r"fps|[^a-z]", "", stem.lower()), re.findall(r"\d+", stem)
    for setting in SETTINGS:
        if stem == setting.log or (words == re.sub(r"fps|[^a-z]", "", setting.key) and digits == [str(setting.fps)]):
            return f"the predictions of {setting.name} are called {setting.key}.csv; rename it"
    return f"the files are called {FILES}; the study's animals have none, no log of them was found"


def answered_videos(rows: Log) -> list[str]:
    """Videos that were not skipped, in the order of the file."""
    return [video for video, row in rows.items() if row.reply is not None]


def common_videos(logs: Mapping[str, Log]) -> list[str]:
    """Videos that every log answered, in the first log's order."""
    first, *others = logs.values()
    return [v for v in answered_videos(first) if all(rows[v].reply is not None for rows in others)]


def labels_of(rows: Log, videos: Sequence[str], rule: RuleName) -> list[str | None]:
    """What the replies name under a rule of `scoring.RULES`; a skipped video names nothing."""
    return [label_of(rows[v].reply or "", CRIME.labels, rule=rule) for v in videos]


def table_of(truths: Sequence[str], answers: Sequence[str | None], *, binary: bool = False) -> ArmTable:
    """The table of one arm; binary: every class but Normal Video is Anomaly, as in the study's Figures 4 and 5."""
    if binary:
        return score(collapse(truths, keep=NORMAL), collapse(answers, keep=NORMAL), labels=("Anomaly", NORMAL))
    return score(truths, answers, labels=TABLE_3_CLASSES)


def records(logs: Mapping[str, Log]) -> dict[str, Any]:
    """Every log, rule and set of clips as JSON values: counts, intervals, confusion matrices, and pairs of arms.

    results → setting → rule → "all_predicted" (what it answered), "common_N" (what all logs answered),
    "all_N_opened_skips_counted_wrong"; paired: fine-tuned 1 against 6 fps and zero-shot against fine-tuned at 1 fps.
    """
    common = common_videos(logs)
    results: dict[str, dict[str, Any]] = {}
    for setting, rows in logs.items():
        sets = {
            "all_predicted": answered_videos(rows),
            f"common_{len(common)}": common,
            f"all_{len(rows)}_opened_skips_counted_wrong": list(rows),
        }
        results[setting] = {"log": BY_KEY[setting].log}
        for rule in RULES:
            results[setting][rule] = {name: _record(rows, videos, rule) for name, videos in sets.items() if videos}
    return {
        "labels_rows": list(TABLE_3_CLASSES),
        "labels_columns": [*TABLE_3_CLASSES, "<no label>"],
        "rules": STUDY["rule_text"],
        "results": results,
        "paired": pair_records(logs),
    }


def pair_records(logs: Mapping[str, Log]) -> list[dict[str, Any]]:
    """The study's comparisons that have two logs with a video in common, under every rule; JSON values."""
    pairs = [_pair_record(logs, a, b, rule) for rule in RULES for a, b in COMPARISONS if a in logs and b in logs]
    return [pair for pair in pairs if pair]


def _record(rows: Log, videos: Sequence[str], rule: RuleName) -> dict[str, Any]:
    """One arm on one set of clips; with skipped videos among them, only what counts them as wrong."""
    truths, answers = [rows[v].truth for v in videos], labels_of(rows, videos, rule)
    table = table_of(truths, answers)
    if any(rows[v].reply is None for v in videos):
        return {"n": table.n, "correct": table.correct, "accuracy": table.accuracy}
    binary = table_of(truths, answers, binary=True)
    numbers = table.to_dict()
    anomalies = [c for name, c in table.per_class.items() if name != NORMAL]
    n, correct = sum(c.n for c in anomalies), sum(c.correct for c in anomalies)
    names = ("n", "correct", "accuracy", "wilson95", "no_label", "balanced_accuracy", "macro_f1")
    measures = ("correct", "predicted", "recall", "precision", "f1")
    cells = [
        f"{truth}_{answer}" for truth in ("anomaly", "normal") for answer in ("as_anomaly", "as_normal", "no_label")
    ]
    return {
        **{name: numbers[name] for name in names},
        "anomaly_only": {"n": n, "correct": correct, "accuracy": correct / n if n else None},
        "majority_class": table.baseline.label,
        "majority_correct": table.baseline.correct,
        "majority_baseline": table.baseline.accuracy,
        "majority_balanced_accuracy": 1 / sum(c.n > 0 for c in table.per_class.values()),
        "per_class": {
            name: {"support": c.n, **{m: getattr(c, m) for m in measures}, "recall_wilson95": list(c.wilson95)}
            for name, c in table.per_class.items()
        },
        "confusion_matrix": _confusion(table),
        "binary": {
            **dict(zip(cells, chain(*_confusion(binary)), strict=True)),
            "accuracy": binary.accuracy,
            "balanced_accuracy": binary.balanced_accuracy,
            "accuracy_wilson95": list(binary.wilson95),
        },
    }


def _confusion(table: ArmTable) -> list[list[int]]:
    """The confusion matrix with a last column for replies without a label, even where there are none."""
    return [[*row, *[0] * (len(table.labels) + 1 - len(row))] for row in table.confusion]


def _pair_record(logs: Mapping[str, Log], a: str, b: str, rule: RuleName) -> dict[str, Any] | None:
    """Two arms on the clips that both answered; None where there are none."""
    videos = common_videos({key: logs[key] for key in (a, b)})
    if not videos:
        return None
    labels = {key: labels_of(logs[key], videos, rule) for key in (a, b)}
    right = [{v: x == logs[key][v].truth for v, x in zip(videos, labels[key], strict=True)} for key in (a, b)]
    pair = compare_arms(*right, names=(a, b))
    return {
        "a": a,
        "b": b,
        "rule": rule,
        "n_common": pair.n,
        "both_correct": pair.both,
        "only_a": len(pair.only_a),
        "only_b": len(pair.only_b),
        "neither": pair.neither,
        "acc_a": (pair.both + len(pair.only_a)) / pair.n,
        "acc_b": (pair.both + len(pair.only_b)) / pair.n,
        "mcnemar_exact_p": pair.p,
        "identical_prediction_strings": sum(logs[a][v].reply == logs[b][v].reply for v in videos),
    }
