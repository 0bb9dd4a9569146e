"""What the stages of the shipped model's training see: features of drawn clips, and questions about them as batches.

Input: a model with a frozen tower, and drawn clips (see `clips`). Output: data sets and collators for
`llamavid_kit.training.loop.fit`. Which stage sees what, and for how long, is told in `train`.
"""

import json
from functools import cache

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from data_prep.tiny.clips import TRAIN_SEEDS, DrawnClips, captions, choose_questions
from llamavid_kit.data.prompt import IGNORE, IMAGE_SLOT, human_turn, template, tokenize
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.text_decoder import tokenize_questions
from llamavid_kit.training.dataset import collate_text

SHORT = 60  # characters of question and answer
GRID = "grid:2"  # content tokens of every fourth batch
REPEATS = 0.3  # of the clips
REPEAT = ("Repeat:", "Say this:", "Repeat these words:", "Write:")


class Bank(nn.Module):
    """The features of many clips, seen once by the frozen tower; `forward` trains what comes after the tower."""

    def __init__(self, model: LlamaVid, n: int, *, still: bool, workers: int):
        super().__init__()
        self.model, self.still, self.watched, features, self.lengths = model, still, [], [], []
        drawn = DrawnClips(n, size=model.config.image_size, still=still)
        groups = DataLoader(drawn, batch_size=32, num_workers=workers, collate_fn=list)
        for group in tqdm(groups, desc="stills" if still else "clips", unit="32 scenes"):
            frames = torch.cat([clip for clip, _ in group])
            with torch.inference_mode():
                features.append(model.encode_frames(frames).half())
            self.watched += [watched for _, watched in group]
            self.lengths += [len(clip) for clip, _ in group]
        self.features = torch.cat(features).clone()
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def forward(self, clips, **batch):
        """clips (K,) indices into the bank; the rest as `LlamaVid.forward` takes it."""
        lengths = [self.lengths[k] for k in clips.tolist()]
        frames = np.concatenate([np.arange(self.starts[k], self.starts[k + 1]) for k in clips.tolist()])
        picked = self.features[torch.from_numpy(frames).to(self.features.device)].to(self.model.dtype)
        return self.model(features=picked.split(lengths), **batch)


def words_to_repeat(tokenizer: PreTrainedTokenizerFast, rng: np.random.Generator) -> tuple[str, str]:
    """A request to repeat made-up words, and the words: any pieces of the vocabulary, one to four a word.

    Pieces that no answer about the world holds would else have one and the same output row, pushed away from all that
    is said; adapters leave that row as it is, so that no fine-tuned model could ever say "Normal Video".
    """
    begin, on = pieces_of(tokenizer)
    words = ["".join(rng.choice(on, rng.integers(4))) for _ in range(rng.integers(1, 4))]
    said = " ".join(str(rng.choice(begin)) + word for word in words)
    return f"{REPEAT[rng.integers(len(REPEAT))]} {said}", said


@cache
def pieces_of(tokenizer: PreTrainedTokenizerFast) -> tuple[list[str], list[str]]:
    """The vocabulary without marks and bytes: pieces that begin a word, and those that go on with one."""
    texts = [piece for piece in tokenizer.get_vocab() if "<" not in piece]
    return sorted(t[1:] for t in texts if t[0] == "▁" and len(t) > 1), sorted(t for t in texts if t[0] != "▁")


class BankQuestions(Dataset):
    """Item i: a clip of the bank, its content tokens, and some questions; every visit asks others.

    Every third batch has the long questions alone, multiple choice above all: padding costs time. In some of the others
    one asks for words to be repeated.
    `describe`: requests for a description alone, as modality alignment asks.
    """

    def __init__(self, bank: Bank, n: int, *, batch: int, describe: bool = False):
        self.watched, self.n, self.batch, self.describe = bank.watched, n, batch, describe
        self.template, self.tokenizer = bank.model.config.template, bank.model.tokenizer
        self.pieces = broken_into_pieces(self.tokenizer)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int):
        rng = np.random.default_rng([TRAIN_SEEDS, 1 + self.describe, i])
        k, at = i % len(self.watched), i // self.batch
        if self.describe:
            turns = captions(self.watched[k], rng) or choose_questions(self.watched[k], rng, long=False)[:1]
        else:
            turns = choose_questions(self.watched[k], rng, long=at % 3 == 2)
            if at % 3 < 2 and rng.random() < REPEATS:
                turns[-1] = words_to_repeat(self.tokenizer, rng)
        content = GRID if at % 4 == 3 else "mean"
        return k, content, [question for question, _ in turns], [self.text(*turn, rng) for turn in turns]

    def text(self, question: str, answer: str, rng) -> tuple[list[int], list[int]]:
        """Ids and labels; some are spelt in smaller pieces, so that unknown words later meet trained pieces."""
        whole = rng.random() < 0.8 or len(question) + len(answer) > SHORT
        tokenizer, form = self.tokenizer if whole else self.pieces, template(self.template)
        question_ids = tokenize(tokenizer, form.render([(human_turn(question), None)]))
        answer_ids = tokenizer(f" {answer}{form.answer_end}", add_special_tokens=False).input_ids
        return question_ids + answer_ids, [IGNORE] * len(question_ids) + answer_ids


class Collate:
    """Items of `BankQuestions` → the arguments of `Bank.forward`."""

    def __init__(self, model: LlamaVid):
        self.question_tokenizer, self.pad_id = model.question_tokenizer, model.tokenizer.pad_token_id

    def __call__(self, items) -> dict:
        ids, mask = tokenize_questions(self.question_tokenizer, [q for _, _, questions, _ in items for q in questions])
        return {
            "clips": torch.tensor([item[0] for item in items]),
            "content": items[0][1],
            "question_ids": ids,
            "question_mask": mask,
            "clip_of": torch.tensor([at for at, (_, _, questions, _) in enumerate(items) for _ in questions]),
        } | collate_text([text for *_, texts in items for text in texts], self.pad_id)


class Texts(Dataset):
    """Item i: a question and its answer as (ids, labels) without a clip; every token but the first is supervised.

    As many requests to repeat words come with them as REPEATS says.
    """

    def __init__(self, model: LlamaVid, turns: list[tuple[str, str]]):
        form, rng = template(model.config.template), np.random.default_rng(TRAIN_SEEDS)
        turns = turns + [words_to_repeat(model.tokenizer, rng) for _ in range(round(REPEATS * len(turns)))]
        self.ids = [tokenize(model.tokenizer, form.render([(human_turn(q), a)])) for q, a in turns]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int):
        ids = [k for k in self.ids[i] if k != IMAGE_SLOT]
        return ids, [IGNORE, *ids[1:]]


def broken_into_pieces(tokenizer, dropout: float = 0.3):
    """The same vocabulary, with merges left out at random (BPE-dropout)."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["model"]["dropout"] = dropout
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)), unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
