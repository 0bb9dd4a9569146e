"""The paper's training stages on instruction pairs: a stage's name in, the trained model's folder out.

Applies a stage of `stages.py` to a model and feeds it clips: as frames through the frozen tower where the stage trains
what makes frame tokens, else as cached frame tokens. The loop that resumes is `finetune.fit`; LoRA on an arm of an
ablation is `finetune.finetune`.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from llamavid_kit.checkpoints import save
from llamavid_kit.context_attention import VisualTokens
from llamavid_kit.conversation import TrainingText
from llamavid_kit.feature_file import SUFFIX as FEATURES
from llamavid_kit.feature_file import import_features
from llamavid_kit.finetune import TokenCollate, TokenPairs, claim_training, collate_text, fit, pair_texts
from llamavid_kit.frame_cache import FrameCache
from llamavid_kit.long_video import interleave, is_film, movie_turn, query_of, show_frames, spread
from llamavid_kit.model import LlamaVid
from llamavid_kit.pixels import pixel_values
from llamavid_kit.prompt import human_turn
from llamavid_kit.stages import TrainSettings, add_lora, keeps_frame_tokens, lora_config, set_trainable, stage_named
from llamavid_kit.subtitles import frame_texts, read_subtitles
from llamavid_kit.text_decoder import tokenize_questions
from llamavid_kit.video import Video

log = logging.getLogger(__name__)
TRAINED = "model"


def train_stage(
    model: LlamaVid,
    pairs: Sequence,
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
            film (`long_video.is_film`) is shown with its subtitles, in a stage that does not train on frames.
        stage: a name of `stages.STAGES`.
        out: gets `model/`, `training.jsonl` (the loss curve), `settings.json`, and, while running, a checkpoint. A run
            that was killed goes on when it is called again with the model that it began with.
        settings: None takes the stage's published ones.

    Done already (`out/model` is there): nothing runs. A folder begun with another stage, rate, settings or pairs raises
    ValueError. The model takes the stage's conversation template; adapters of a
    stage with LoRA are merged in the end. Departures from the original `train.py`: the loss is the mean over a step's
    supervised tokens, not the mean of each process's mean; the text decoder reads the question as it will be asked,
    with its line breaks; where frame tokens do not change they are computed once, in eval mode, while the original
    leaves the frozen text decoder's dropout on; the tower stays in the model's dtype.
    """
    recipe, out = stage_named(stage), Path(out)
    if not pairs:
        raise ValueError("no training pairs: a stage needs a train split")
    settings = settings or recipe.settings
    asked = json.dumps([[p.id, p.question, p.answer] for p in pairs])
    record = {"stage": stage, "fps": fps, "train": asdict(settings), "lora": recipe.lora and asdict(recipe.lora)}
    claim_training(out, record | {"data": hashlib.sha256(asked.encode()).hexdigest()})
    if (out / TRAINED / "config.json").is_file():
        log.info("%s is trained already", out / TRAINED)
        return out / TRAINED
    model.eval().config.template = recipe.template
    torch.manual_seed(settings.seed)
    handle = add_lora(model, lora_config(recipe.lora)) if recipe.lora else None
    trained = set_trainable(model, recipe)
    log.info("%s: %d parameters train, %s", stage, len(trained), recipe.about)
    if keeps_frame_tokens(trained):
        cache = FrameCache(model, out / "frame_tokens")
        seen = [_look(cache, pair, root, fps) for pair in tqdm(pairs, desc="frame tokens", unit="clip")]
        tokens, turns = zip(*seen, strict=True)
        dataset: Dataset = TokenPairs(model, pairs, tokens, max_length=settings.max_length, turns=turns)
        collate: Any = TokenCollate(model.tokenizer.pad_token_id, settings.max_length)
    else:
        dataset = ClipPairs(model, pairs, root=root, fps=fps, max_length=settings.max_length)
        collate = ClipCollate(model, settings.max_length)
    fit(model, dataset, collate, out=out, settings=settings)
    if handle is not None:
        handle.merge_and_unload()
    save(model, out / f"{TRAINED}.partial")
    return (out / f"{TRAINED}.partial").rename(out / TRAINED)


def _look(cache: FrameCache, pair, root: Path | str, fps: float) -> tuple[VisualTokens, str]:
    """A pair's frame tokens, and its human turn; that of a film has its subtitles between the frames.

    The text decoder is asked a film's whole turn without `<image>`, wrapper and all, as in the original's training.
    """
    if not is_film(pair):
        return cache.tokens(Video(pair.video_path(root)), pair.question, fps=fps)[0], human_turn(pair.question)
    turn, per_frame = movie_turn(pair.question), cache.model.config.tokens_per_frame()
    path = pair.video_path(root)
    if path.suffix == FEATURES:
        film = import_features(path)
        with torch.inference_mode():
            seen = cache.model.frame_tokens(film.features, query_of(turn))
        tokens, frames = VisualTokens(seen.context.cpu(), seen.content.cpu()), film.inputs
    else:
        video = Video(path)
        tokens, times = cache.tokens(video, query_of(turn), fps=fps)
        cues = read_subtitles(Path(root) / pair.extra["subtitles"])
        frames = interleave(frame_texts(cues, times, end_s=video.duration_s))
    return tokens, show_frames(turn, spread(frames, tokens_per_frame=per_frame))


class ClipPairs(Dataset):
    """Instruction pairs with their clips: item i is (ids, labels, question, frames (T, 3, h, w) float32)."""

    def __init__(
        self, model: LlamaVid, pairs: Sequence, *, root: Path | str, fps: float, max_length: int | None = None
    ):
        if films := [pair.id for pair in pairs if is_film(pair)]:
            raise ValueError(f"{films[0]!r} is about a film with subtitles; this stage sees frames, long_video films")
        self.text: list[TrainingText] = pair_texts(model, pairs, max_length=max_length)
        self.questions = [pair.question for pair in pairs]
        self.clips = [Video(pair.video_path(root)) for pair in pairs]  # holds no decoder: a worker opens its own
        self.fps, self.config = fps, model.config

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, i: int):
        clip, config = self.clips[i], self.config
        frames = clip.frames(clip.sample(self.fps).indices)
        pixels = pixel_values(frames, size=config.image_size, mean=config.image_mean, std=config.image_std)
        return self.text[i].ids, self.text[i].labels, self.questions[i], pixels


class ClipCollate:
    """Items of `ClipPairs` → the arguments of `LlamaVid.forward`, which sees the frames of a batch at once."""

    def __init__(self, model: LlamaVid, max_length: int | None = None):
        self.question_tokenizer, self.pad_id = model.question_tokenizer, model.tokenizer.pad_token_id
        self.question_max_length, self.max_length = model.config.question_max_length, max_length

    def __call__(self, samples) -> dict:
        batch = collate_text([sample[:2] for sample in samples], self.pad_id, max_length=self.max_length)
        questions, frames = [s[2] for s in samples], [s[3] for s in samples]
        ids, mask = tokenize_questions(self.question_tokenizer, questions, max_length=self.question_max_length)
        clips = {"frames": frames, "clip_of": torch.arange(len(samples))}
        return batch | clips | {"question_ids": ids, "question_mask": mask}
