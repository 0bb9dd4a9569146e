"""Instruction pairs as batches: their text as ids and labels, their clips as cached frame tokens or as frames."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from tqdm import tqdm

from llamavid_kit.data.conversation import TrainingText, training_text
from llamavid_kit.data.films import is_film
from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.data.prompt import IGNORE
from llamavid_kit.data.video import Video
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.text_decoder import tokenize_questions
from llamavid_kit.processes import n_processes, shared

Look = TypeVar("Look")


def look_at_all(look: Callable[[InstructionPair], Look], pairs: Sequence[InstructionPair]) -> list[Look]:
    """`look(pair)` of every pair, in every process; `look` keeps what it sees in a cache.

    Several processes fill that first, each with its share of the pairs.
    """

    def fill(pair: InstructionPair) -> None:
        look(pair)

    if n_processes() > 1:
        deque(tqdm(shared(fill, pairs), desc="frame tokens", unit="clip", total=len(pairs)), maxlen=0)
    return [look(pair) for pair in tqdm(pairs, desc="frame tokens", unit="clip", disable=n_processes() > 1)]


class TokenPairs(Dataset):
    """Instruction pairs with their frame tokens: item i is (ids, labels, VisualTokens)."""

    def __init__(
        self,
        model: LlamaVid,
        pairs: Sequence[InstructionPair],
        tokens: Sequence[VisualTokens],
        *,
        max_length: int | None = None,
        turns: Sequence[str] | None = None,
    ):
        """turns: of films, as in `pair_texts`."""
        if len(pairs) != len(tokens):
            raise ValueError(f"{len(pairs)} pairs but frame tokens of {len(tokens)} clips")
        self.tokens = tokens
        self.text = [(text.ids, text.labels) for text in pair_texts(model, pairs, max_length=max_length, turns=turns)]

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, i: int):
        return (*self.text[i], self.tokens[i])

    @property
    def longest(self) -> int:
        """Tokens of the longest sample, its clip's included."""
        return max(len(ids) + clip.n_tokens for (ids, _), clip in zip(self.text, self.tokens, strict=True))


def pair_texts(
    model: LlamaVid,
    pairs: Sequence[InstructionPair],
    *,
    max_length: int | None = None,
    turns: Sequence[str] | None = None,
) -> list[TrainingText]:
    """Each pair as one turn under the model's template; ValueError where `max_length` would cut its whole answer.

    turns: the human turn of each pair, with a slot for each token of its clip; None: one slot before the question.
    """
    texts = []
    for k, pair in enumerate(pairs):
        messages = pair.messages()
        if turns is not None:
            messages[0]["value"] = turns[k]
        text = training_text(model.tokenizer, model.config.template, messages, rng=random.Random(0), move_image=False)
        if all(label == IGNORE for label in text.labels[:max_length]):
            raise ValueError(
                f"pair {pair.id!r}: nothing of its answer is within the first {max_length} of {len(text.ids)} tokens; "
                "raise max_length or leave the pair out"
            )
        texts.append(text)
    return texts


def collate_text(
    texts: Sequence[tuple[list[int], list[int]]], pad_id: int, *, max_length: int | None = None
) -> dict[str, torch.Tensor]:
    """(ids, labels) of each sample → right-padded input_ids, labels, attention_mask, all (B, L).

    Samples longer than `max_length` tokens lose their end, wherever that is, as in the original's
    `DataCollatorForSupervisedDataset`. The mask is 1 on every token of a sample; the original's is 0 on a real <unk>,
    too, because it pads with that id.
    """
    ids = [torch.tensor(i[:max_length]) for i, _ in texts]
    labels = [torch.tensor(target[:max_length]) for _, target in texts]
    mask = [torch.ones_like(i) for i in ids]
    return {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad_id),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORE),
        "attention_mask": pad_sequence(mask, batch_first=True, padding_value=0),
    }


@dataclass(frozen=True)
class TokenCollate:
    """Items of `TokenPairs` → the arguments of `LlamaVid.forward`."""

    pad_id: int
    max_length: int | None = None

    def __call__(self, samples) -> dict:
        batch = collate_text([sample[:2] for sample in samples], self.pad_id, max_length=self.max_length)
        return batch | {"visual": [[(t.context.cpu(), t.content.cpu())] for _, _, t in samples]}


class ClipPairs(Dataset):
    """Instruction pairs with their clips: item i is (ids, labels, question, frames (T, 3, h, w) float32)."""

    def __init__(
        self,
        model: LlamaVid,
        pairs: Sequence[InstructionPair],
        *,
        root: Path | str,
        fps: float,
        max_length: int | None = None,
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
        clip = self.clips[i]
        pixels = self.config.pixel_values(clip.frames(clip.sample(self.fps).indices))
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
