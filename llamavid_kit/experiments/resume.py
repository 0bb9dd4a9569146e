"""A run's folder that is started again: what may be added to it, what is counted anew, what makes it another run.

`config.json` holds the configuration, and all else that results depend on and that no other file of the run tells:
pairs, models, judge, and the versions of what decodes and computes. Contents of clips stand in `clips.json`
(`clip_list`), and each line of an arm file names the content that it is about.
"""

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.tasks import ClosedQuestion, Question
from llamavid_kit.files import (
    ANOTHER_FOLDER,
    holds_files,
    installed,
    read_head,
    read_json,
    read_replies,
    refuse_versions,
    resume,
    write_whole,
)

log = logging.getLogger(__name__)

# more values of these give more arms
GROWING = ("fps", "content", "frames", "change", "prompts", "answering", "seeds", "train_fps")
ARMS = (*GROWING, "model", "finetune", "shuffle_choices", "crossed")  # what decides which arms there are
COUNTING = ("rule", "groups")  # how replies are counted: the model is not asked again
TRAINING = ("seeds", "train_fps", "train", "lora", "shuffle_labels")  # of no meaning without adapters
HASHED = {  # what stands in the record as a hash, in words
    "pairs": "the clips that are listed, their labels, events, splits or the question",
    "weights": "a model's weights, settings or tokenizer",
}
PACKAGES = ("llamavid-kit", "torch", "transformers", "peft", "av", "decord", "decord2", "torchvision", "num2words")


def versions(*, packs: bool = False) -> dict[str, str]:
    """Package → version, of those that replies may depend on in their last digits and more.

    packs: the language model is in 4 bits.
    """
    return installed((*PACKAGES, *["bitsandbytes"] * packs))


def begun_config(out: Path) -> AblationConfig | None:
    """The configuration of the run in `out`; None without one. ValueError for a folder of other things."""
    if (out / "config.json").is_file():
        stored, path = _stored(out), out / "config.json"
        try:
            return AblationConfig.of(stored)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is not a run's configuration ({error!r}): give another output folder") from None
    if holds_files(out):
        raise ValueError(f"{out} is not empty and not a run of this kit: give another output folder")
    return None


def _stored(out: Path) -> dict[str, Any]:
    return read_json(out / "config.json", way_out=ANOTHER_FOLDER)


def write_record(out: Path, record: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "config.json", json.dumps(record, indent=1))


def continued(
    out: Path,
    begun: AblationConfig | None,
    config: AblationConfig,
    record: dict[str, Any],
    *,
    trainable: Collection[str],
) -> tuple[AblationConfig, dict[str, Any]]:
    """The configuration of the run that was `begun` in `out` with what `config` adds, and its record for `config.json`.

    Values of a factor are added to those that the run has, and rule and groups may change. record: what the run depends
    on beside its configuration. trainable: as `config.arms`. Raises ValueError naming what differs where the replies
    that lie there would belong to another run.
    """
    if begun is None:
        return config, _json(config.record() | record)
    stored = _stored(out)
    now = _added(begun, config)
    old, new = _json(begun.record()) | stored, _json(now.record() | record)
    arms = [{(arm, arm.name) for arm in one.arms(trainable=trainable)} for one in (begun, now)]
    free = {*COUNTING, "versions", *(ARMS if arms[0] <= arms[1] else ()), *(() if begun.finetune else TRAINING)}
    differing = [name for name in sorted(new) if name not in free and old.get(name) != new[name]]
    if differing:
        text = ", ".join(
            f"{name} ({HASHED.get(name) or f'there {_short(old.get(name))}, asked {_short(new[name])}'})"
            for name in differing
        )
        raise ValueError(f"{out} belongs to another run, they differ in {text}: give another output folder")
    if more := sorted(name for _, name in arms[1] - arms[0]):
        log.info("%s: %d arms are added to its %d: %s", out, len(more), len(arms[0]), ", ".join(more))
    return now, new | {"versions": stored.get("versions")}


def _added(begun: AblationConfig, config: AblationConfig) -> AblationConfig:
    """`config` with the values that `begun` has; settings of training are those of the one that trains."""
    values: dict[str, Any] = {
        name: tuple(dict.fromkeys([*getattr(begun, name), *getattr(config, name)])) for name in GROWING
    }
    if not (begun.finetune and config.finetune):
        values |= {name: getattr(begun if begun.finetune else config, name) for name in TRAINING}
    order = begun.shuffle_choices if config.shuffle_choices is None else config.shuffle_choices
    return replace(config, finetune=begun.finetune or config.finetune, shuffle_choices=order, **values)


def check_versions(out: Path, record: dict[str, Any]) -> None:
    """ValueError where arms would be answered by other versions than those that lie in `out`."""
    refuse_versions(out, record["versions"] or {}, versions(packs=record.get("quantise") is not None))


def answered(path: Path, head: dict[str, Any], items: Sequence[dict[str, Any]]) -> bool:
    """Whether an arm file holds a reply for every clip as it is now; another rule only counts them anew."""
    try:
        stored, lines = read_replies(path)
    except (OSError, ValueError):
        return False
    same = _differing(stored, head) in ([], ["rule"]) and len(lines) == len(items)
    return same and all(item.items() <= line.items() for item, line in zip(items, lines, strict=True))


def _differing(stored: dict[str, Any], head: dict[str, Any]) -> list[str]:
    return [name for name in head if stored.get(name) != head[name]]


def resume_arm(
    path: Path, head: dict[str, Any], items: Sequence[dict[str, Any]], *, batch: int, question: Question
) -> int:
    """How many clips an arm has answered, its file cut to those whose replies hold; see `files.resume`.

    Labels are given anew where only the rule differs. An arm whose adapter was trained on other clips begins anew.
    """
    if path.is_file() and b"\n" in path.read_bytes():
        stored, n_lines = read_head(path)
        differing = _differing(stored, head)
        if differing == ["training"]:
            log.warning("%s is answered again: its adapter was trained on other clips", path.stem)
            path.unlink()
        elif differing == ["rule"] and isinstance(question, ClosedQuestion):
            resume(path, stored, n=n_lines, batch=1)
            lines = [question.counted(line) for line in read_replies(path)[1]]
            write_whole(path, "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in ({"arm": head}, *lines)))
    return resume(path, head, n=len(items), batch=batch, items=items)


def _json(record: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(record))


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:57]}…"
