"""The text decoder learns to look: it answers a question about one frame from the context token alone.

It stands in for the image-text pre-training of InstructBLIP's Q-Former, which the original begins with. A head on the
context token, that is told the question's words, names the answer among the frequent ones. No box says where to look,
and the head is thrown away. Two things let it find what is small, a hat, too:

- The head is told the words, so that it can read the right thing off an even map already.
- It begins with an even map: what it reads is the mean patch at first, and the context token ever more. Else all maps
  settle on what is large, and nobody looks at the hat: the text decoder reads its colour by itself, and tells it by
  where it looks, at something large of that colour.
"""

from collections import Counter

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from data_prep.tiny.bank import Bank
from data_prep.tiny.clips import CAPTIONS, TRAIN_SEEDS, weighted
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.text_decoder import tokenize_questions

QUESTIONS_A_FRAME = 6
SHARPENS = 0.2  # share of the items after which nothing but the context token is read
LOOKS = ("query_tokens", "text_decoder", "vision_norm", "text_projector", "key_projector")  # parts that train


class Looks(Dataset):
    """Item i: a frame of the bank, how much of its mean patch is read (0 to 1), and short questions about it with the
    numbers of their answers in `answers`."""

    def __init__(self, bank: Bank, n: int, *, answers: tuple[str, ...]):
        self.watched, self.n = bank.watched, n
        self.number = {answer: k for k, answer in enumerate(answers)}

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[int, float, list[str], list[int]]:
        rng, k = np.random.default_rng([TRAIN_SEEDS, 3, i]), i % len(self.watched)
        short = [q for q in self.watched[k].questions(rng) if q.answer in self.number and q.choices is None]
        asked = weighted(short, rng)[:QUESTIONS_A_FRAME]
        even = max(0.0, 1 - i / (self.n * SHARPENS))
        return k, even, [q.question for q in asked], [self.number[q.answer] for q in asked]


def frequent_answers(bank: Bank, *, n: int = 2000, least: int = 5) -> tuple[str, ...]:
    """The answers to short questions about the bank's first `n` frames that occur at least `least` times."""
    counts: Counter[str] = Counter()
    for k, watched in enumerate(bank.watched[:n]):
        for question in watched.questions(np.random.default_rng([TRAIN_SEEDS, 4, k])):
            if question.choices is None and question.kind not in CAPTIONS:
                counts[question.answer] += 1
    return tuple(sorted(answer for answer, count in counts.items() if count >= least))


class LookCollate:
    """Items of `Looks` → the arguments of `AnswerReader.forward`."""

    def __init__(self, model: LlamaVid):
        self.question_tokenizer = model.question_tokenizer

    def __call__(self, items) -> dict[str, Tensor]:
        asked = [(*of_frame, question) for *of_frame, questions, _ in items for question in questions]
        frames, even, questions = zip(*asked, strict=True)
        ids, mask = tokenize_questions(self.question_tokenizer, list(questions))
        return {
            "frames": torch.tensor(frames),
            "even": torch.tensor(even)[:, None],
            "question_ids": ids,
            "question_mask": mask,
            "labels": torch.tensor([number for *_, numbers in items for number in numbers]),
        }


class AnswerReader(nn.Module):
    """Text decoder and context attention, and a head that reads the context token as the question's words say."""

    def __init__(self, bank: Bank, n_answers: int):
        super().__init__()
        config = bank.model.config
        width, n_words = config.vision_config.hidden_size, config.qformer_config.vocab_size
        self.bank = bank
        self.words, self.asked = nn.Embedding(n_words, width), nn.Linear(width, width)
        self.norm, self.read = nn.LayerNorm(width), nn.Linear(width, width)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, n_answers))

    def forward(self, frames, even, question_ids, question_mask, labels):
        """frames (Q,) indices into the bank, a question and an answer's number for each; even (Q, 1) how much of the
        mean patch is read → {"loss", "right"}."""
        model, bank = self.bank.model, self.bank
        features = bank.features[torch.from_numpy(bank.starts)[frames.cpu()].to(bank.features.device)]
        features = features.to(model.dtype)
        context = model.compress(features, question_ids, question_mask).context
        token = even * model.patches(features).mean(1) + (1 - even) * context
        mask = question_mask[..., None]
        words = (self.words(question_ids) * mask).sum(1) / mask.sum(1)
        logits = self.head(self.read(self.norm(token)) * self.asked(words)).float()
        return {"loss": F.cross_entropy(logits, labels), "right": (logits.argmax(1) == labels).float().mean()}
