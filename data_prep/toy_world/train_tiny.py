"""The one command that trains the shipped model from scratch on the toy world:

    python -m data_prep.toy_world.train_tiny --out runs/tiny

Frames are drawn directly, never twice the same clip; the model sees benign events and six of the ten crimes, described
in plain words. The four others (`UNSEEN_KINDS`) and the crime question appear nowhere. A question about an event that
no sampled frame shows is answered as for the twin without it, so that the model learns to say what it sees. Resumable:
started again it goes on from the last checkpoint.
"""

import argparse
import io
import json
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tokenizers.implementations import BertWordPieceTokenizer
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from data_prep.toy_world import BENIGN_KINDS, FPS, SEEN_KINDS, plan_clip
from data_prep.toy_world.questions import questions
from llamavid_kit.checkpoints import load_question_tokenizer, save
from llamavid_kit.config import LlamaVidConfig
from llamavid_kit.finetune import TrainSettings, collate_text, fit
from llamavid_kit.model import LlamaVid
from llamavid_kit.pixels import resize_and_crop
from llamavid_kit.prompt import IGNORE, human_turn, supervised, template, tokenize
from llamavid_kit.sampling import sample_times
from llamavid_kit.text_decoder import tokenize_questions

WORLD = "the toy world: drawn street scenes with people, two cars and a pet; about any other clip it can only guess"
TRAIN_SEEDS, CORPUS_SEEDS, CHECK_SEEDS = 10_000_000_000, 20_000_000_000, 30_000_000_000  # disjoint ranges of clips
FPS_MIX, FPS_WEIGHTS = (1, 2, 3, 6), (0.35, 0.25, 0.2, 0.2)
KINDS = (None, *SEEN_KINDS, *BENIGN_KINDS)
KIND_WEIGHTS = np.array(
    [0.18] + [0.46 / len(SEEN_KINDS)] * len(SEEN_KINDS) + [0.36 / len(BENIGN_KINDS)] * len(BENIGN_KINDS)
)
QUESTIONS_A_CLIP = 3
EVENT_QUESTIONS = ("event_happens", "event_closed", "event_yes_no", "caption")
PREAMBLE = "You will perform anomaly detection on a surveillance camera video. "  # of the study's question, label-free


class ToyClips(Dataset):
    """Item i: a clip that exists nowhere else, with some questions. frames (T, 112, 112, 3) uint8, and the texts."""

    def __init__(self, n: int, model: LlamaVid, *, first_seed: int = TRAIN_SEEDS):
        self.n, self.first_seed = n, first_seed
        self.size, self.template = model.config.image_size, model.config.template
        self.tokenizer = model.tokenizer
        self.pieces = broken_into_pieces(model.tokenizer)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int):
        rng = np.random.default_rng([self.first_seed, i])
        kind = KINDS[rng.choice(len(KINDS), p=KIND_WEIGHTS)]
        event_s = (0.1, 3.0) if rng.random() < 0.4 else (1.0, 3.0)
        plan = plan_clip(self.first_seed + i, kind, event_s=event_s)
        frames, visible = watch(plan, fps=int(rng.choice(FPS_MIX, p=FPS_WEIGHTS)), size=self.size, rng=rng)
        asked = choose_questions(plan if visible else plan.twin(), rng)
        texts = [self.text(question, answer, rng) for question, answer in asked]
        return frames, [question for question, _ in asked], texts

    def text(self, question: str, answer: str, rng) -> tuple[list[int], list[int]]:
        """Ids and labels; one in five is spelt in smaller pieces, so that unknown words later meet trained pieces."""
        if rng.random() < 0.8:
            return supervised(self.tokenizer, self.template, [(human_turn(question), answer)])
        torch.manual_seed(int(rng.integers(2**31)))
        form = template(self.template)
        asked = tokenize(self.pieces, form.render([(human_turn(question), None)]))
        answered = self.pieces(f" {answer}{form.answer_end}", add_special_tokens=False).input_ids
        return asked + answered, [IGNORE] * len(asked) + answered


def watch(plan, *, fps: float, size: int, rng=None) -> tuple[np.ndarray, bool]:
    """The frames that sampling by time at `fps` picks, (T, size, size, 3) uint8, and whether one shows the event.

    With `rng`, half of the clips pass through JPEG, a cheap stand-in for what a video codec does to the pixels.
    """
    indices = sample_times(np.arange(plan.n_frames) / FPS, plan.n_frames / FPS, fps)
    drawn = [plan.draw(int(i)) for i in indices]
    if rng is not None and rng.random() < 0.5:
        quality = int(rng.integers(35, 95))
        drawn = [_through_jpeg(frame, quality) for frame in drawn]
    visible = bool(((indices >= plan.start) & (indices < plan.end)).any())
    return np.stack([resize_and_crop(frame, size) for frame in drawn]), visible


def _through_jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def choose_questions(plan, rng) -> list[tuple[str, str]]:
    """One question about the event, the others about anything; no two alike.

    Half of the multiple-choice ones open as the study's question does. Its labels are in none.
    """
    asked = questions(plan, rng, allowed=(*SEEN_KINDS, *BENIGN_KINDS))
    order = [asked[k] for k in rng.permutation(len(asked))]
    about_event = next(q for q in order if q[0] in EVENT_QUESTIONS)
    chosen = [about_event, *[q for q in order if q is not about_event][: QUESTIONS_A_CLIP - 1]]
    return [
        (PREAMBLE + question if choices and rng.random() < 0.5 else question, answer)
        for _, question, answer, choices in chosen
    ]


class Collate:
    """Items of `ToyClips` → the arguments of `LlamaVid.forward`."""

    def __init__(self, model: LlamaVid):
        self.question_tokenizer, self.pad_id = model.question_tokenizer, model.tokenizer.pad_token_id

    def __call__(self, items) -> dict:
        ids, mask = tokenize_questions(self.question_tokenizer, [q for _, asked, _ in items for q in asked])
        clip_of = [k for k, (_, asked, _) in enumerate(items) for _ in asked]
        return {
            "frames": [torch.from_numpy(frames) for frames, _, _ in items],
            "question_ids": ids, "question_mask": mask, "clip_of": torch.tensor(clip_of),
        } | collate_text([text for _, _, texts in items for text in texts], self.pad_id)  # fmt: skip


def corpus(n_clips: int = 4000) -> list[str]:
    """Every text that the model can meet in training, from clips that are never drawn."""
    lines = []
    for i in range(n_clips):
        plan = plan_clip(CORPUS_SEEDS + i, KINDS[i % len(KINDS)])
        rng = np.random.default_rng(i)
        for _ in range(3):
            lines += [template("plain").render([turn]) for turn in choose_questions(plan, rng)]
    return lines


def make_tokenizers(lines: list[str], folder: Path) -> tuple[PreTrainedTokenizerFast, object]:
    """A byte-fallback BPE for the language model and a WordPiece for the text decoder, both from `lines`."""
    bpe = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=False))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    bpe.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]
    alphabet = [chr(c) for c in range(33, 127)]
    bpe.train_from_iterator(
        lines, trainers.BpeTrainer(vocab_size=1200, special_tokens=special, initial_alphabet=alphabet, min_frequency=20)
    )
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>",
        padding_side="right", clean_up_tokenization_spaces=False,
    )  # fmt: skip
    words = BertWordPieceTokenizer(lowercase=True)
    words.train_from_iterator(lines, vocab_size=900, min_frequency=20, initial_alphabet=alphabet, show_progress=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(w for w, _ in sorted(words.get_vocab().items(), key=lambda kv: kv[1])))
    return tokenizer, load_question_tokenizer(folder)


def broken_into_pieces(tokenizer, dropout: float = 0.3):
    """The same vocabulary, with merges left out at random (BPE-dropout)."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["model"]["dropout"] = dropout
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)), unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def new_model(folder: Path, *, seed: int) -> LlamaVid:
    """The untrained shipped model with its tokenizers."""
    tokenizer, question_tokenizer = make_tokenizers(corpus(), folder / "question_vocabulary")
    torch.manual_seed(seed)
    config = LlamaVidConfig.tiny(vocab_size=len(tokenizer), question_vocab_size=len(question_tokenizer), world=WORLD)
    model = LlamaVid(config)
    torch.nn.init.normal_(model.text_decoder.query_tokens, std=0.02)
    model.tokenizer, model.question_tokenizer = tokenizer, question_tokenizer
    return model


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; the model is written to OUT/model")
    parser.add_argument("--steps", type=int, default=3500, help="optimiser steps (default 3500)")
    parser.add_argument("--clips", type=int, default=48, help="clips a step (default 48)")
    parser.add_argument("--learning-rate", type=float, default=8e-4)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that draw")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    model = new_model(args.out, seed=args.seed)
    settings = TrainSettings(
        learning_rate=args.learning_rate, batch_size=args.clips, max_steps=args.steps, weight_decay=0.02,
        warmup_ratio=0.06, seed=args.seed, save_every=1000, workers=args.workers,
    )  # fmt: skip
    fit(model, ToyClips(args.steps * args.clips, model), Collate(model), out=args.out, settings=settings, in_order=True)
    save(model, args.out / "model", dtype=torch.bfloat16)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters in {args.out / 'model'}")


if __name__ == "__main__":
    main()
