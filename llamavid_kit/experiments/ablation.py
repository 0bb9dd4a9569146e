"""The FPS ablation: arms × the same clips → a run folder that anybody can check.

Input: instruction pairs of one question, closed or open (`questions.py`), and a folder of clips. Output: `clips.json`
(the one list that every arm answers, fixed before the first), `arms/<arm>.jsonl`, and through `summary.py` the numbers.
Everything resumes: a run that is killed and started again gives the same arm files, byte for byte. The model is reached
through `answering.VideoModel`; figures and the report are `report.py`.
"""

import hashlib
import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.video import Video
from llamavid_kit.evaluation.scoring import RULES
from llamavid_kit.experiments.clip_list import fix_clip_list
from llamavid_kit.experiments.prompts import PROMPTS, STUDY, check_wording, shuffled, worded
from llamavid_kit.experiments.summary import write_summary
from llamavid_kit.experiments.tasks import Question, question_of
from llamavid_kit.files import append, claim, resume
from llamavid_kit.model.answering import LlamaVidAnswerer, VideoModel
from llamavid_kit.model.ask import Reply
from llamavid_kit.model.checkpoints import default_device, load, load_to_train
from llamavid_kit.model.frame_cache import FrameCache, weights_key
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.training.finetune import LoraSettings, TrainSettings, adapter, finetune

log = logging.getLogger(__name__)

NEWER = {"prompts": (STUDY.name,), "shuffle_choices": None}  # settings that older runs do not know, and their meaning
OPEN_DEFAULTS = {"answering": ("generation",), "max_new_tokens": 128}  # the longest of 104 real answers has 78 words


@dataclass(frozen=True)
class AblationConfig:
    """What a run is. Two runs with equal configuration and pairs give equal arm files.

    fps: the rates compared; the largest decides which clips fit.
    finetune: also fine-tune an arm at each fps, with each of `seeds`.
    answering: "generation" (greedy reply, mapped to a label by `rule`), "likelihood" (the likeliest choice). An open
        question is answered by generation alone, and neither `rule` nor `groups` are for it (`for_pairs`).
    max_new_tokens: of a generated reply; for an open question no true answer may be longer.
    shuffle_labels: a seed: the training answers are permuted first. A control: accuracy must fall to chance.
    prompts: of `wordings.PROMPTS`, each its own arms; the first is the one that rates and trainings are compared in.
        "study" is the pairs' own question. Adapters are always trained on that, and shared by the prompts.
    shuffle_choices: a seed: each arm gets a rival that is asked with the options in another order, clip by clip.
    groups: name → labels, for results split by groups of classes.
    """

    model: str = "tiny"
    source: str = ""
    fps: tuple[float, ...] = (1, 6)
    finetune: bool = True
    seeds: tuple[int, ...] = (0,)
    answering: tuple[str, ...] = ("generation", "likelihood")
    rule: str = "normalised"
    batch: int = 32
    max_new_tokens: int = 24
    shuffle_labels: int | None = None
    prompts: tuple[str, ...] = (STUDY.name,)
    shuffle_choices: int | None = None
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    train: TrainSettings = field(default_factory=TrainSettings)
    lora: LoraSettings = field(default_factory=LoraSettings)

    def __post_init__(self):
        finite = all(rate > 0 and math.isfinite(rate) for rate in self.fps)
        if not self.fps or not finite or len(set(self.fps)) != len(self.fps):
            raise ValueError(f"fps={self.fps}: expected different rates above 0, for example (1, 6)")
        if not self.answering or set(self.answering) - {"generation", "likelihood"}:
            raise ValueError(f'answering={self.answering}: expected "generation", "likelihood" or both')
        if self.finetune and (not self.seeds or len(set(self.seeds)) != len(self.seeds)):
            raise ValueError(f"seeds={self.seeds}: fine-tuned arms need at least one seed, each once")
        if self.rule not in RULES:
            raise ValueError(f"rule={self.rule!r}: expected one of {', '.join(RULES)}")
        if not self.prompts or set(self.prompts) - set(PROMPTS) or len(set(self.prompts)) != len(self.prompts):
            raise ValueError(f"prompts={self.prompts}: expected some of {', '.join(PROMPTS)}, each once")
        if self.batch < 1 or self.max_new_tokens < 1:
            raise ValueError(f"batch={self.batch}, max_new_tokens={self.max_new_tokens}: expected at least 1 each")

    @classmethod
    def for_pairs(cls, pairs: Sequence[InstructionPair], **given: Any) -> "AblationConfig":
        """A configuration whose defaults suit the pairs' question: an open one is answered in sentences."""
        return cls(**({} if pairs and pairs[0].choices else OPEN_DEFAULTS) | given)

    def check(self, asked: Question) -> None:
        """Raises ValueError for settings of closed questions on an open one, and words that it cannot be put in."""
        plain = {"answering": ("generation",), "rule": "normalised", "groups": {}} | NEWER
        for name, value in plain.items():
            if not asked.labels and getattr(self, name) != value:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is for questions with labels, and the pairs have no choices: "
                    f"give {name}={value!r}, or start from AblationConfig.for_pairs(pairs)"
                )
        check_wording(asked.text, asked.labels, self.prompts, self.shuffle_choices)

    def arms(self) -> list["Arm"]:
        """Every arm, by prompt: as listed before shuffled, zero-shot before fine-tuned, slow before fast."""
        trained = [None, *self.seeds] if self.finetune else [None]
        orders = [None] if self.shuffle_choices is None else [None, self.shuffle_choices]
        return [
            Arm(rate, seed, way, prompt, order)
            for prompt in self.prompts
            for order in orders
            for seed in trained
            for rate in sorted(self.fps)
            for way in self.answering
        ]

    def recorded(self) -> dict[str, Any]:
        """JSON values of everything; a run from before `NEWER` was there is that run still."""
        return {name: x for name, x in asdict(self).items() if name not in NEWER or x != NEWER[name]}


@dataclass(frozen=True)
class Arm:
    """One way to answer every clip. `seed` None is zero-shot."""

    fps: float
    seed: int | None
    answering: str
    prompt: str = STUDY.name
    shuffle: int | None = None

    @property
    def name(self) -> str:
        trained = "zero-shot" if self.seed is None else "lora"
        seed = "" if self.seed is None else f"-seed{self.seed}"
        prompt = "" if self.prompt == STUDY.name else f"-{self.prompt}"
        order = "" if self.shuffle is None else f"-shuffled{self.shuffle}"
        return f"{trained}-{self.fps:g}fps{seed}{prompt}{order}-{self.answering}"

    @property
    def adapter(self) -> str | None:
        """Folder of the trained adapter below the run's, shared by both ways of answering."""
        return None if self.seed is None else f"finetune/fps{self.fps:g}-seed{self.seed}"

    def asks(self, asked: Question, clip: str | None = None) -> tuple[str, tuple[str, ...]]:
        """The question in this arm's words and its options in the order asked of `clip`; None: as they are listed."""
        shuffles = self.shuffle is not None and clip is not None
        options = shuffled(asked.labels, seed=self.shuffle, clip=clip) if shuffles else asked.labels
        if self.prompt == STUDY.name and options == asked.labels:
            return asked.text, options
        return worded(asked.text, self.prompt, options), options

    def head(self, asked: Question, model: str) -> dict[str, Any]:
        """The arm's configuration, as it heads its file."""
        trained = {"method": "lora", "seed": self.seed, "adapter": self.adapter}
        head = {
            "name": self.name,
            "model": model,
            "fps": self.fps,
            "answering": self.answering,
            "question": self.asks(asked)[0],
            "finetune": None if self.seed is None else trained,
            "rule": asked.rule_of(self.answering),
        }
        head |= {} if self.prompt == STUDY.name else {"prompt": asdict(PROMPTS[self.prompt])}
        return head | ({} if self.shuffle is None else {"shuffle_choices": self.shuffle})


def ablate(
    pairs: Sequence[InstructionPair],
    *,
    root: Path | str,
    out: Path | str,
    config: AblationConfig | None = None,
    model: LlamaVid | None = None,
) -> dict:
    """Run every arm on the same clips; returns what is written to `out/summary.json`.

    Args:
        pairs: test pairs, and train pairs where an arm is fine-tuned; one question for all, closed with its choices
            or open without.
        root: the clips' folder (`pair.video_path(root)`).
        out: the run's folder. One that belongs to another configuration, other pairs or other weights raises
            ValueError.
        config: by default `AblationConfig.for_pairs(pairs)`.
        model: a loaded model instead of `config.model`'s name; its name still heads the files.

    Clips that cannot be read or do not fit are excluded for all arms alike, each with its reason.
    """
    root, out = Path(root), Path(out)
    config = config or AblationConfig.for_pairs(pairs)
    asked = question_of(pairs, rule=config.rule)
    config.check(asked)
    if config.finetune and not any(p.split == "train" for p in pairs):
        raise ValueError("fine-tuned arms need train pairs: give a train split, or finetune=False (--no-finetune)")
    seconds: dict[str, float] = {}
    with _timed(seconds, "load model"):
        if model is None:
            model = load_to_train(config.model) if config.finetune else load(config.model, device=default_device())
        used = [p for p in pairs if p.split == "test" or config.finetune]
        n_reply = asked.n_reply(model, used, config.max_new_tokens)
        cache = FrameCache(model, out / "frame_tokens")
        _claim(out, config, pairs, weights_key(model))
    with _timed(seconds, "decode and encode clips"):
        clips = fix_clip_list(pairs, root, out, config, model, cache, asked, n_reply)
    test, videos = _split(clips, "test"), {}
    for arm in config.arms():
        if arm.adapter is not None:
            with _timed(seconds, f"fine-tune {arm.fps:g} fps"):
                _finetune(model, _split(clips, "train"), root, out / arm.adapter, arm, config, cache)
        with _timed(seconds, f"answer ({arm.answering})"), adapter(model, _adapter_folder(out, arm)) as adapted:
            answerer = LlamaVidAnswerer(adapted, cache, config.max_new_tokens)
            answer_arm(answerer, arm, test, root, out, config, asked, videos)
    return write_summary(out, config, clips, seconds, world=model.config.world)


def answer_arm(
    answerer: VideoModel,
    arm: Arm,
    test: Sequence[InstructionPair],
    root: Path,
    out: Path,
    config: AblationConfig,
    asked: Question,
    videos: dict[str, Video],
) -> Path:
    """Ask one arm about every clip → `arms/<arm>.jsonl`: its configuration, then a line a clip in list order.

    Clips are asked in fixed batches and a batch is written as one piece; what a killed run left of an unfinished batch
    is cut away, so that the numbers do not depend on where it was killed. `videos` keeps opened clips between arms.
    """
    path = out / "arms" / f"{arm.name}.jsonl"
    done = resume(path, arm.head(asked, config.model), n=len(test), batch=config.batch)
    starts = range(done, len(test), config.batch)
    for at in tqdm(starts, desc=arm.name, unit="batch", disable=not len(starts)):
        batch = test[at : at + config.batch]
        opened = [_open(pair, root, videos) for pair in batch]
        wordings = [arm.asks(asked, pair.id) for pair in batch]
        replies = _replies(answerer, arm, opened, wordings)
        lines = [asked.line(pair, reply) for pair, reply in zip(batch, replies, strict=True)]
        if arm.shuffle is not None:
            lines = [line | {"options": list(order)} for line, (_, order) in zip(lines, wordings, strict=True)]
        append(path, lines)
    return path


def _replies(answerer: VideoModel, arm: Arm, opened: Sequence[Video], wordings) -> list[Reply]:
    """Clips that are asked in the same words, with the options in the same order, are asked together."""
    replies: dict[int, Reply] = {}
    for text, options in dict.fromkeys(wordings):
        at = [k for k, wording in enumerate(wordings) if wording == (text, options)]
        clips = [opened[k] for k in at]
        if arm.answering == "generation":
            found = answerer.generate(clips, text, fps=arm.fps)
        else:
            found = answerer.choose(clips, text, options, fps=arm.fps)
        replies |= dict(zip(at, found, strict=True))
    return [replies[k] for k in range(len(wordings))]


def _finetune(model, train, root, out, arm: Arm, config: AblationConfig, cache: FrameCache) -> None:
    if config.shuffle_labels is not None:
        order = np.random.default_rng(config.shuffle_labels).permutation(len(train))
        answers = [train[k].answer for k in order]
        train = [InstructionPair(**(p.to_dict() | {"answer": a})) for p, a in zip(train, answers, strict=True)]
    settings = TrainSettings(**(asdict(config.train) | {"seed": arm.seed}))
    tokens = [cache.tokens(_open(p, root, {}), p.question, fps=arm.fps)[0] for p in train]
    finetune(model, train, tokens, out=out, settings=settings, lora=config.lora)


def _adapter_folder(out: Path, arm: Arm) -> Path | None:
    return None if arm.adapter is None else out / arm.adapter / "adapter"


def _open(pair: InstructionPair, root: Path, videos: dict[str, Video]) -> Video:
    """The clip of `pair`; ValueError where its file is no longer the one on the list."""
    if pair.id not in videos:
        video = Video(pair.video_path(root))
        if video.content_key() != pair.extra["content"]:
            raise ValueError(f"{video.path} has changed since the clip list was fixed: start again in another folder")
        videos[pair.id] = video
    return videos[pair.id]


def _split(clips: dict, split: str) -> list[InstructionPair]:
    rows = [dict(row) for row in clips[split]]
    return [InstructionPair(**(row | {"extra": row["extra"] | {"content": row.pop("content")}})) for row in rows]


def _claim(out: Path, config: AblationConfig, pairs: Sequence[InstructionPair], weights: str) -> None:
    """Make `out` this run's folder, or check that it is; ValueError names what differs."""
    record = json.dumps([p.to_dict() for p in pairs], sort_keys=True)
    path = out / "config.json"
    if not path.is_file() and out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and no run of this kit: give another output folder")
    ours = config.recorded() | {"pairs": hashlib.sha256(record.encode()).hexdigest(), "weights": weights}
    if differs := claim(path, ours):
        said = ", ".join(f"{k} (there {_short(there)}, asked {_short(asked)})" for k, (there, asked) in differs.items())
        raise ValueError(f"{out} belongs to another run, they differ in {said}: give another output folder")


def _short(value) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:57]}…"


class _timed:
    """Adds the seconds of a `with` block to `table[stage]`."""

    def __init__(self, table: dict[str, float], stage: str):
        self.table, self.stage = table, stage

    def __enter__(self):
        self.start = time.perf_counter()

    def __exit__(self, *_):
        self.table[self.stage] = self.table.get(self.stage, 0.0) + time.perf_counter() - self.start
