"""An ablation: arms × the same clips → a run folder that anybody can check.

Input: instruction pairs of one question, closed or open (`tasks`), and a folder of clips. Output: `clips.json` (the one
list that every arm answers, fixed before the first), `arms/<arm>.jsonl`, and through `summary` the numbers. Everything
resumes: a run that is killed and started again gives the same arm files, byte for byte, and so do several processes
together (`processes`). Models are reached through `answering.VideoModel`; which arms there are is decided in `arms`,
tables and page are made in `report`.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.video import Video
from llamavid_kit.evaluation.judges.judge import Judge
from llamavid_kit.experiments.arms import AblationConfig, Arm
from llamavid_kit.experiments.clip_list import fix_clip_list
from llamavid_kit.experiments.prompts import check_wording, wording
from llamavid_kit.experiments.resume import (
    answered,
    begun_config,
    check_versions,
    continued,
    resume_arm,
    versions,
    write_record,
)
from llamavid_kit.experiments.summary import Summary, write_summary
from llamavid_kit.experiments.tasks import Question, question_of
from llamavid_kit.files import BusyError, append
from llamavid_kit.model.answering import LlamaVidAnswerer, Reply, VideoModel
from llamavid_kit.model.checkpoints import default_device, load_to_train
from llamavid_kit.model.frame_cache import FRAME_TOKENS, FrameCache
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.loading import folder_of, is_another, load
from llamavid_kit.processes import from_main, held, shared
from llamavid_kit.training.finetune import ADAPTER, adapter, finetune
from llamavid_kit.training.loop import step_share

log = logging.getLogger(__name__)

VERDICTS = "verdicts"  # folder of what a chat model said as judge


def ablate(
    pairs: Sequence[InstructionPair],
    *,
    root: Path | str,
    out: Path | str,
    config: AblationConfig | None = None,
    model: LlamaVid | VideoModel | None = None,
    rivals: Sequence[VideoModel] = (),
    judge: Judge | None = None,
    cache_bytes: int | None = None,
) -> Summary:
    """Run every arm on the same clips; returns what is written to `out/summary.json`, which `write_report` takes, too.

    Args:
        pairs: test pairs, and train pairs where an arm is fine-tuned; one question for all, closed with its choices
            or open without.
        root: the clips' folder (`pair.video_path(root)`).
        out: the run's folder. Started again, a run goes on; more values of a factor are more arms, another rule counts
            its replies anew, and clips whose files have changed are answered anew. What makes it another run (`resume`)
            raises ValueError.
        config: by default `AblationConfig.for_pairs(pairs)`.
        model: a loaded model, or any `VideoModel`, in the place of the first that the configuration names.
        rivals: other models, each with arms of its own beside those of the configuration's.
        judge: of an open question; None is the kit's rule about animals.
        cache_bytes: limit of `out/frame_tokens` (`FrameCache`); None: no limit. What is computed again, for want of
            room or after the folder was deleted, can differ in its last digits.

    Clips that cannot be read or do not fit are excluded for all arms alike, each with its reason. Under `accelerate
    launch` every process calls this alike: clips are looked at and batches answered by all, and each gets the summary.
    """
    root, out = Path(root), Path(out)
    with ExitStack() as lock:  # takes the folder as soon as it is known to be this run's
        config = config or AblationConfig.for_pairs(pairs)
        question = question_of(pairs, rule=config.rule, judge=judge)
        _check(config, question, pairs)
        seconds: dict[str, float] = {}
        with _timed(seconds, "load model"):
            begun = from_main(lambda: begun_config(out))
            if begun is not None:
                lock.enter_context(held(out))
                begun = from_main(lambda: begun_config(out))
            trains = config.finetune or (begun is not None and begun.finetune)
            models = _models(config, model, rivals, trains=trains, frame_tokens=out / FRAME_TOKENS, limit=cache_bytes)
            config = replace(config, model=tuple(models) if len(models) > 1 else next(iter(models)))
            trainable = [name for name, one in models.items() if isinstance(one, LlamaVidAnswerer)]
            config, record = from_main(
                lambda: continued(out, begun, config, _depends_on(pairs, models, judge, config), trainable=trainable)
            )
            arms = config.arms(trainable=trainable)
            used = [pair for pair in pairs if pair.split == "test" or config.finetune]
            _check_lengths(models, question, used, config.max_new_tokens)
            if begun is None:
                lock.enter_context(held(out))
                from_main(lambda: _begin(out, record))
        with _timed(seconds, "decode and encode clips"):
            clips = fix_clip_list(pairs, root, out, config, arms, models, question)
        from_main(lambda: write_record(out, record))
        test, train = _pairs_of(clips, "test"), _pairs_of(clips, "train")
        training = hashlib.sha256(json.dumps([[p.id, p.extra["content"]] for p in train]).encode()).hexdigest()[:16]
        heads = {arm.name: _head(arm, question, training) for arm in arms}
        open_arms = from_main(
            lambda: {arm.name for arm in arms if not answered(arm_path(out, arm), heads[arm.name], _items(test))}
        )
        if open_arms:
            check_versions(out, record)
        videos: dict[str, Video] = {}
        trained: set[str] = set()
        answer = partial(answer_arm, test=test, root=root, out=out, config=config, question=question, videos=videos)
        for arm in arms:
            one, place = models[arm.model], config.adapter_folder(arm)
            ask = partial(answer, arm=arm, head=heads[arm.name])
            if place is None or not isinstance(one, LlamaVidAnswerer) or arm.name not in open_arms:
                with _timed(seconds, f"answer ({arm.answering})"):
                    ask(one)
                continue
            if place not in trained:
                with _timed(seconds, f"fine-tune {arm.trained_at:g} fps"):
                    _finetune(one, train, root, out / place, arm, config)
                trained.add(place)
            with _timed(seconds, f"answer ({arm.answering})"), adapter(one.model, out / place / ADAPTER) as adapted:
                ask(replace(one, model=adapted))
        worlds = {name: one.model.config.world for name, one in models.items() if isinstance(one, LlamaVidAnswerer)}
        return from_main(
            lambda: write_summary(out, config, arms, question, clips, seconds, worlds=worlds, verdicts=out / VERDICTS)
        )


def answer_arm(
    model: VideoModel,
    *,
    arm: Arm,
    head: dict[str, Any],
    test: Sequence[InstructionPair],
    root: Path,
    out: Path,
    config: AblationConfig,
    question: Question,
    videos: dict[str, Video],
) -> Path:
    """Ask one arm about every clip → `arms/<arm>.jsonl`: its head, then a line a clip in list order.

    Clips are asked in fixed batches and a batch is written as one piece; what a killed run left of an unfinished batch
    is cut away, so that the numbers do not depend on where it was killed, nor on how many processes share the batches:
    who is asked together with whom decides the last digits. `videos` keeps opened clips between arms.
    """
    path, items = arm_path(out, arm), _items(test)
    done = from_main(lambda: resume_arm(path, head, items, batch=config.batch, question=question))

    def asked(at: int) -> tuple[list[tuple], list[Reply]]:
        batch = test[at : at + config.batch]
        clips = [_open(pair, root, videos) for pair in batch]
        asks = [wording(question.text, question.labels, prompt=arm.prompt, order=arm.order, clip=p.id) for p in batch]
        return asks, _replies(model, arm, clips, asks, config.max_new_tokens)

    starts = range(done, len(test), config.batch)
    replies_of = shared(asked, starts)
    for at, (asks, replies) in tqdm(replies_of, desc=arm.name, unit="batch", total=len(starts), disable=not starts):
        lines = question.lines(arm.name, test[at : at + config.batch], replies, out / VERDICTS)
        if arm.order is not None:
            lines = [line | {"options": list(options)} for line, (_, options) in zip(lines, asks, strict=True)]
        append(path, [line | item for line, item in zip(lines, items[at : at + config.batch], strict=True)])
    return path


def _begin(out: Path, record: dict[str, Any]) -> None:
    """Makes a folder that was free this run's."""
    if begun_config(out) is not None:
        raise BusyError(f"{out} was begun by another process just now: start again to go on with it")
    write_record(out, record)


def arm_path(out: Path, arm: Arm) -> Path:
    return out / "arms" / f"{arm.name}.jsonl"


def _head(arm: Arm, question: Question, training: str) -> dict[str, Any]:
    """What heads an arm file; training: the key of the clips that its adapter is trained on.

    No change stands there as nothing, so that runs go on which were begun before there were any.
    """
    text, _ = wording(question.text, question.labels, prompt=arm.prompt, order=arm.order)
    asked = {"question": text, "rule": question.rule_of(arm.answering)}
    factors = {name: value for name, value in arm.factors().items() if (name, value) != ("change", None)}
    return {"name": arm.name, **factors, **asked, "training": arm.adapter and training}


def _items(test: Sequence[InstructionPair]) -> list[dict[str, str]]:
    """What each line of an arm file is about: the clip, its true answer, and the beginning of its content's key."""
    return [{"clip": pair.id, "truth": pair.answer, "content": pair.extra["content"][:16]} for pair in test]


def _depends_on(
    pairs: Sequence[InstructionPair], models: Mapping[str, VideoModel], judge: Judge | None, config: AblationConfig
) -> dict[str, Any]:
    """What results depend on beside the configuration and the clips' contents; it stands in `config.json`."""
    digest = hashlib.sha256(json.dumps([p.to_dict() for p in pairs], sort_keys=True).encode()).hexdigest()
    identities = [one.identity for one in models.values()]
    packages = versions(packs=config.quantise is not None)
    return {"pairs": digest, "weights": identities, "judge": judge and judge.identity, "versions": packages}


def _replies(
    model: VideoModel, arm: Arm, clips: Sequence[Video], asks: Sequence[tuple], max_new_tokens: int
) -> list[Reply]:
    """Clips that are asked in the same words, with the options in the same order, are asked together."""
    replies: dict[int, Reply] = {}
    for text, options in dict.fromkeys(asks):
        at = [k for k, ask in enumerate(asks) if ask == (text, options)]
        batch = [clips[k] for k in at]
        if arm.answering == "generation":
            answers = model.generate(batch, text, arm.view, max_new_tokens=max_new_tokens)
        else:
            answers = model.choose(batch, text, options, arm.view)
            if any(set(reply.log_likelihood) != set(options) for reply in answers):
                raise ValueError(f"model {arm.model} gave no likelihood for some option: ask it by generation alone")
        if len(answers) != len(batch):
            raise ValueError(
                f"model {arm.model} gave {len(answers)} replies to {len(batch)} clips: expected one for each clip"
            )
        replies |= dict(zip(at, answers, strict=True))
    return [replies[k] for k in range(len(asks))]


def _models(
    config: AblationConfig,
    model: LlamaVid | VideoModel | None,
    rivals: Sequence[VideoModel],
    *,
    trains: bool,
    frame_tokens: Path,
    limit: int | None,
) -> dict[str, VideoModel]:
    """Name → model, of all that take arms; trains: adapters may be trained. Raises ValueError for two of one name."""
    ours: list[VideoModel] = []
    for k, name in enumerate(config.models):
        one = model if k == 0 else None
        if one is None:
            packs = config.quantise
            if trains and not is_another(folder_of(name)):
                one = load_to_train(name, quantise=packs)
            else:
                one = load(name, device=default_device(), quantise=packs)
        if isinstance(one, LlamaVid):
            cache = FrameCache(one, frame_tokens, limit_bytes=limit)
            one = LlamaVidAnswerer(one, cache, config.max_new_tokens, name)
        ours.append(one)
    models: dict[str, VideoModel] = {}
    for one in (*ours, *rivals):
        if one.name in models:
            raise ValueError(f"two models are called {one.name!r}: give each another name")
        models[one.name] = one
    if config.finetune and not any(isinstance(one, LlamaVidAnswerer) for one in models.values()):
        raise ValueError(f"adapters are trained for LLaMA-VID alone, not for {', '.join(models)}: give finetune=False")
    return models


def _check(config: AblationConfig, question: Question, pairs: Sequence[InstructionPair]) -> None:
    """ValueError for settings of closed questions on an open one, words it cannot be put in, no training pairs, steps
    of training that the processes cannot share.
    """
    plain = AblationConfig(answering=("generation",))
    for name in ("answering", "rule", "groups", "prompts", "shuffle_choices"):
        value = getattr(plain, name)
        if not question.labels and getattr(config, name) != value:
            raise ValueError(
                f"{name}={getattr(config, name)!r} is for questions with labels, and the pairs have no choices: "
                f"give {name}={value!r}, or start from AblationConfig.for_pairs(pairs)"
            )
    check_wording(question.text, question.labels, config.prompts, config.shuffle_choices)
    if config.finetune and not any(p.split == "train" for p in pairs):
        raise ValueError("fine-tuned arms need train pairs: give a train split, or finetune=False (--no-finetune)")
    if config.finetune:
        step_share(config.train)


def _check_lengths(models: dict, question: Question, pairs: Sequence[InstructionPair], max_new_tokens: int) -> None:
    """ValueError where a true answer in free words is longer than any reply may be: no model could give it."""
    for model in models.values():
        if question.labels or not (n_tokens := getattr(model, "n_tokens", None)):
            continue
        lengths = {pair.id: n_tokens(pair.answer) for pair in pairs}
        longer = [clip for clip, n in lengths.items() if n > max_new_tokens]
        if longer:
            longest = max(lengths, key=lambda clip: lengths[clip])
            raise ValueError(
                f"max_new_tokens={max_new_tokens}: {len(longer)} of {len(pairs)} true answers are longer, that of "
                f"{longest!r} has {lengths[longest]} tokens; give max_new_tokens={lengths[longest]} or more"
            )


def _finetune(
    model: LlamaVidAnswerer, train: Sequence[InstructionPair], root: Path, out: Path, arm: Arm, config: AblationConfig
) -> None:
    if config.shuffle_labels is not None:
        order = np.random.default_rng(config.shuffle_labels).permutation(len(train))
        answers = [train[k].answer for k in order]
        train = [InstructionPair(**(p.to_dict() | {"answer": a})) for p, a in zip(train, answers, strict=True)]
    tokens = [
        model.tokens(_open(pair, root, {}), pair.question, replace(arm.view, fps=arm.trained_at))[0] for pair in train
    ]
    settings = replace(config.train, seed=arm.adapter.seed if arm.adapter else config.train.seed)
    finetune(model.model, train, tokens, out=out, settings=settings, lora=config.lora)


def _open(pair: InstructionPair, root: Path, videos: dict[str, Video]) -> Video:
    """The clip of `pair`; ValueError where its file is no longer the one on the list."""
    if pair.id not in videos:
        video = Video(pair.video_path(root))
        if video.content_key() != pair.extra["content"]:
            raise ValueError(f"{video.path} has changed since the clip list was fixed: start again in another folder")
        videos[pair.id] = video
    return videos[pair.id]


def _pairs_of(clips: dict, split: str) -> list[InstructionPair]:
    """The pairs of a clip list; the clip's content key is among their extras."""
    pairs = []
    for row in (dict(row) for row in clips[split]):
        row.pop("events_seen")
        pairs.append(InstructionPair(**row | {"extra": row["extra"] | {"content": row.pop("content")}}))
    return pairs


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the seconds of a `with` block to `seconds[stage]`."""
    began = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - began
