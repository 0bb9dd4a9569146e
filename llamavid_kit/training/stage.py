"""The paper's training stages on instruction pairs: a stage's name in, the trained model's folder out.

Applies a stage of `stages` to a model and feeds it clips: as frames through the frozen tower where the stage trains
what makes frame tokens, else as cached frame tokens. The loop that resumes is `loop.fit`; the fixed-token LoRA of an
ablation's arm is `finetune.finetune`.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import Dataset

from llamavid_kit.data import films
from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.prompt import human_turn
from llamavid_kit.data.subtitles import frame_texts, read_subtitles
from llamavid_kit.data.video import Video, content_key
from llamavid_kit.model.checkpoints import save
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.four_bits import is_packed
from llamavid_kit.model.frame_cache import FRAME_TOKENS, FrameCache
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import add_lora, lora_config
from llamavid_kit.model.original.features import import_features
from llamavid_kit.processes import from_main, held
from llamavid_kit.training.dataset import ClipCollate, ClipPairs, TokenCollate, TokenPairs, look_at_all
from llamavid_kit.training.loop import claim_training, fit, step_share
from llamavid_kit.training.stages import TrainSettings, keeps_frame_tokens, set_trainable, stage_named

log = logging.getLogger(__name__)
TRAINED = "model"


def train_stage(
    model: LlamaVid,
    pairs: Sequence[InstructionPair],
    *,
    stage: str,
    root: Path | str = ".",
    fps: float = 1.0,
    out: Path | str,
    settings: TrainSettings | None = None,
) -> Path:
    """Train `model`, in place, as the stage says → the folder of the trained model, for `load`.

    Args:
        pairs: instruction pairs of the training split; their clips lie at `root` and are sampled at `fps`. One about a
            film (`films.is_film`) is shown with its subtitles, in a stage that does not train on frames.
        stage: a name of `stages.STAGES`.
        out: gets `model/`, `training.jsonl` (the loss curve), `settings.json`, and, while running, a checkpoint. A run
            that was killed goes on when it is called again with the model that it began with.
        settings: None takes the stage's published ones.

    Done already (`out/model` is there): nothing runs. Raises ValueError for a folder begun with another model, stage,
    rate, settings, pairs or clips, and for a packed model. The model takes the stage's conversation template; adapters
    of a stage with LoRA are merged in the end. Several processes share each step as `loop.fit` says, and ValueError is
    raised where they cannot.
    Departures from the original `train.py`: the loss is the mean over a step's supervised tokens, not the mean of each
    process's mean; the text decoder reads the question as it will be asked, with its line breaks; where frame tokens do
    not change they are computed once, in eval mode, while the original leaves the frozen text decoder's dropout on; the
    tower stays in the model's dtype.
    """
    recipe, out = stage_named(stage), Path(out)
    if is_packed(model):
        raise ValueError(f"stage {stage!r} saves whole weights, and these are packed: load them without quantise")
    if not pairs:
        raise ValueError("no training pairs: a stage needs a train split")
    settings = settings or recipe.settings
    step_share(settings)
    files = {path: content_key(path) for path in dict.fromkeys(pair.video_path(root) for pair in pairs)}
    content = json.dumps([[p.id, p.question, p.answer, files[p.video_path(root)]] for p in pairs])
    record = {"stage": stage, "fps": fps, "train": asdict(settings), "lora": recipe.lora and asdict(recipe.lora)}
    data = hashlib.sha256(content.encode()).hexdigest()
    with held(out):
        from_main(lambda: claim_training(out, model, record | {"data": data}))
        if from_main(lambda: (out / TRAINED / "config.json").is_file()):
            log.info("%s is trained already", out / TRAINED)
            return out / TRAINED
        model.eval().config.template = recipe.template
        torch.manual_seed(settings.seed)
        handle = add_lora(model, lora_config(recipe.lora)) if recipe.lora else None
        trained = set_trainable(model, recipe)
        log.info("%s: %d parameters train, %s", stage, len(trained), recipe.about)
        if keeps_frame_tokens(trained):
            cache = FrameCache(model, out / FRAME_TOKENS)
            looks = look_at_all(partial(_look, cache, root=root, fps=fps), pairs)
            tokens, turns = zip(*looks, strict=True)
            dataset: Dataset = TokenPairs(model, pairs, tokens, max_length=settings.max_length, turns=turns)
            collate: Callable = TokenCollate(model.tokenizer.pad_token_id, settings.max_length)
        else:
            dataset = ClipPairs(model, pairs, root=root, fps=fps, max_length=settings.max_length)
            collate = ClipCollate(model, settings.max_length)
        fit(model, dataset, collate, out=out, settings=settings)
        if handle is not None:
            handle.merge_and_unload()
        return from_main(lambda: _save(model, out / TRAINED))


def _save(model: LlamaVid, folder: Path) -> Path:
    part = folder.with_name(f"{folder.name}.partial")
    save(model, part)
    return part.rename(folder)


def _look(cache: FrameCache, pair: InstructionPair, *, root: Path | str, fps: float) -> tuple[VisualTokens, str]:
    """A pair's frame tokens, and its human turn; that of a film has its subtitles between the frames.

    The text decoder is asked a film's whole turn without `<image>`, wrapper and all, as in the original's training.
    """
    if not films.is_film(pair):
        return cache.tokens(Video(pair.video_path(root)), pair.question, fps=fps)[0], human_turn(pair.question)
    turn, per_frame = films.movie_turn(pair.question), cache.model.config.tokens_per_frame()
    path = pair.video_path(root)
    if path.suffix == films.FEATURES:
        film = import_features(path)
        with torch.inference_mode():
            tokens = cache.model.frame_tokens(film.features, films.query_of(turn)).to("cpu")
        frames = film.inputs
    else:
        video = Video(path)
        tokens, times = cache.tokens(video, films.query_of(turn), fps=fps)
        cues = read_subtitles(Path(root) / pair.extra["subtitles"])
        frames = films.interleave(frame_texts(cues, times, end_s=video.duration_s))
    return tokens, films.show_frames(turn, films.spread(frames, tokens_per_frame=per_frame))
