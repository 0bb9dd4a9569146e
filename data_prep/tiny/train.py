"""The one command that trains the shipped model from scratch on the toy world:

    python -m data_prep.tiny.train --out runs/tiny

What the original takes from others comes first: the tower learns to see (`tower`, for EVA-ViT), the language model to
read and write (for Vicuna), and the text decoder to look (`looking`, for InstructBLIP's). Then the kit's own three
stages (`training.stages.STAGES`): `align` on single frames and their descriptions, `instruct` on questions about single
frames, `long_video` on clips at mixed rates. Frames are drawn directly; some batches see four content tokens a frame
instead of one. The model meets benign events and six of the ten crimes, described in plain words, and eight of the
twelve animals; `UNSEEN_KINDS`, `UNSEEN_SPECIES`, `UNSEEN_BRIEFS` and the study's questions appear nowhere. A question
about what no sampled frame shows is answered as for a clip without it: the model learns to say what it sees.
Each stage resumes from its last checkpoint.
"""

import argparse
import hashlib
import json
import math
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tokenizers.implementations import BertWordPieceTokenizer
from transformers import PreTrainedTokenizerFast

from data_prep.tiny import tower
from data_prep.tiny.bank import Bank, BankQuestions, Collate, Texts
from data_prep.tiny.clips import CORPUS_SEEDS, TOWER_SEEDS, Watched, choose_questions
from data_prep.tiny.looking import LOOKS, AnswerReader, LookCollate, Looks, frequent_answers
from llamavid_kit.data.prompt import template
from llamavid_kit.files import claim, whole
from llamavid_kit.model.checkpoints import QUESTION_TOKENIZER, load_question_tokenizer, save
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.decoding import repeatable
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.training.dataset import collate_text
from llamavid_kit.training.finetune import TrainSettings
from llamavid_kit.training.loop import LOSS_CURVE, fit
from llamavid_kit.training.stages import STAGES, part_of, set_trainable
from llamavid_kit.viz.plots import training_curves

WORLD = "the toy world: drawn street scenes and drawn animals; about any other clip it can only guess"
PASSES = 3  # of the tower over its scenes
ON_CLIPS = "_clips"  # ends the name of a stage that went over single frames before
SETTINGS = TrainSettings(learning_rate=1e-3, weight_decay=0.02, warmup_ratio=0.05, save_every=200)
GENTLE = replace(SETTINGS, learning_rate=7e-4)  # on clips: what single frames taught is not to be forgotten


@cache
def corpus(n_clips: int = 2000) -> list[tuple[str, str]]:
    """Questions and answers as the model can meet them in training, of clips that are never drawn."""
    turns = []
    for i in range(n_clips):
        rng, seed = np.random.default_rng(i), CORPUS_SEEDS + i
        seconds = tuple(np.arange(0, 8, 0.5).tolist())
        for watched in (
            Watched(seed, tower.KINDS[i % len(tower.KINDS)], (0.1, 3.0)),
            Watched(seed, None, (0.1, 3.0), seconds),
        ):
            for long in (False, True, False):
                turns += choose_questions(watched, rng, long=long)
    return turns


def make_tokenizers(lines: list[str], folder: Path) -> None:
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
        lines, trainers.BpeTrainer(vocab_size=1400, special_tokens=special, initial_alphabet=alphabet, min_frequency=20)
    )
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<unk>",
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )
    words = BertWordPieceTokenizer(lowercase=True)
    words.train_from_iterator(lines, vocab_size=1100, min_frequency=20, initial_alphabet=alphabet, show_progress=False)
    tokenizer.save_pretrained(folder)
    (folder / QUESTION_TOKENIZER).mkdir()
    vocabulary = "\n".join(w for w, _ in sorted(words.get_vocab().items(), key=lambda kv: kv[1]))
    (folder / QUESTION_TOKENIZER / "vocab.txt").write_text(vocabulary)


def new_model(folder: Path, *, seed: int) -> LlamaVid:
    """The untrained shipped model. Its tokenizers are made once: ties of their training fall otherwise every time."""
    words = folder / "words"
    if not words.is_dir():
        with whole(words) as part:
            form = template("plain")
            make_tokenizers([form.render([turn]).removesuffix(form.answer_end) for turn in corpus()], part)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(words)
    question_tokenizer = load_question_tokenizer(words / QUESTION_TOKENIZER)
    torch.manual_seed(seed)
    config = LlamaVidConfig.tiny(vocab_size=len(tokenizer), question_vocab_size=len(question_tokenizer), world=WORLD)
    model = LlamaVid(config)
    torch.nn.init.normal_(model.text_decoder.query_tokens, std=0.02)
    model.tokenizer, model.question_tokenizer = tokenizer, question_tokenizer
    return model


def train_tower(model: LlamaVid, out: Path, *, steps: int, scenes: int, workers: int) -> None:
    """The tower, every scene PASSES times, or its result from an earlier run; it is frozen afterwards."""
    done = out / "tower.safetensors"
    if not done.is_file():
        reader = tower.FactReader(model)
        vision = model.config.vision_config
        size, patches = vision.image_size, vision.image_size // vision.patch_size
        batches = math.ceil(steps / PASSES / max(workers, 1)) * max(workers, 1)  # of each process as many
        n = batches * scenes
        data = tower.Scenes(n, passes=PASSES, first_seed=TOWER_SEEDS, size=size, patches=patches)
        settings = replace(SETTINGS, batch_size=scenes, max_steps=steps, workers=workers, save_every=400)
        settings = replace(settings, learning_rate=1.5e-3, warmup_ratio=0.08)
        fit(reader, data, tower.collate, out=out / "tower", settings=settings, in_order=True)
        save_file(model.vision_tower.state_dict(), done)
    model.vision_tower.load_state_dict(load_file(done))
    model.vision_tower.requires_grad_(False)


def train_language(model: LlamaVid, out: Path, *, steps: int, workers: int) -> None:
    """The language model alone, on the words of the toy world, or its result from an earlier run."""
    done = out / "language.safetensors"
    if not done.is_file():
        model.requires_grad_(False)
        model.language_model.requires_grad_(True)
        texts = Texts(model, corpus())

        def collate(items) -> dict:
            return collate_text(items, model.tokenizer.pad_token_id)

        settings = replace(SETTINGS, batch_size=256, max_steps=steps, workers=workers)
        fit(model.language_model, texts, collate, out=out / done.stem, settings=settings)
        save_file(model.language_model.state_dict(), done)
    model.language_model.load_state_dict(load_file(done))


def train_looking(model: LlamaVid, bank: Bank, out: Path, *, steps: int, frames: int, workers: int) -> None:
    """The text decoder and what it attends with, on single frames."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) in LOOKS)
    answers = frequent_answers(bank)
    data, reader = Looks(bank, steps * frames, answers=answers), AnswerReader(bank, len(answers))
    settings = replace(SETTINGS, batch_size=frames, max_steps=steps, workers=workers)
    fit(reader.to(model.device), data, LookCollate(model), out=out / "looking", settings=settings, in_order=True)
    save_file(model.state_dict(), out / "looking.safetensors")


def train_stage(model: LlamaVid, bank: Bank, out: Path, stage: str, *, steps: int, clips: int, workers: int) -> None:
    """One of the kit's stages on a bank's clips: that of STAGES by whose name `stage` begins."""
    set_trainable(model, STAGES[stage.removesuffix(ON_CLIPS)])
    data = BankQuestions(bank, steps * clips, batch=clips, describe=stage == "align")
    settings = replace(SETTINGS if bank.still else GENTLE, batch_size=clips, max_steps=steps, workers=workers)
    fit(bank, data, Collate(model), out=out / stage, settings=settings, in_order=True)
    save_file(model.state_dict(), out / f"{stage}.safetensors")


def train(args, model: LlamaVid) -> None:
    """All stages. Single frames are drawn once for two stages, and not at all where both are done."""
    train_tower(model, args.out, steps=args.tower_steps, scenes=args.scenes, workers=args.workers)
    train_language(model, args.out, steps=args.language_steps, workers=args.workers)
    for still, n, clips, stages in (
        (
            True,
            args.stills,
            192,
            {"looking": args.looking_steps, "align": args.align_steps, "instruct": args.still_steps},
        ),
        (False, args.clips, 48, {f"instruct{ON_CLIPS}": args.clip_steps, "long_video": args.long_steps}),
    ):
        bank = None
        for stage, steps in stages.items():
            done = args.out / f"{stage}.safetensors"
            if not done.is_file():
                bank = bank or Bank(model.eval(), n, still=still, workers=args.workers)
                if stage == "looking":
                    train_looking(model, bank, args.out, steps=steps, frames=clips // 2, workers=args.workers)
                else:
                    train_stage(model, bank, args.out, stage, steps=steps, clips=clips, workers=args.workers)
            model.load_state_dict(load_file(done))


def recipe(args: argparse.Namespace) -> dict:
    """What a run depends on: its options, and the source of the training and of the world that it sees."""
    here = Path(__file__).parent
    files = sorted([*here.glob("*.py"), *(here.parent / "toy_world").rglob("*.py")])
    source = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    return {k: v for k, v in vars(args).items() if k not in ("out", "workers")} | {"source": source}


def draw_losses(out: Path) -> None:
    """The card's figure, OUT/model/loss.png."""
    tower, language, looking, *answers = (
        [json.loads(line) for line in (out / stage / LOSS_CURVE).read_text(encoding="utf-8").splitlines()]
        for stage in ("tower", "language", "looking", "align", "instruct", f"instruct{ON_CLIPS}", "long_video")
    )
    fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
    training_curves({"facts and density": tower}, title="The tower reads facts", ax=left)
    left.set(ylabel="sum of losses", ylim=(1, None), yscale="log")
    left.yaxis.set_major_formatter("{x:g}")  # else it writes markup
    names = (
        "language alone, every word",
        "looking: one of the answers",
        "align: descriptions",
        "instruct: single frames",
        "instruct: clips",
        "long_video: clips",
    )
    training_curves(dict(zip(names, (language, looking, *answers), strict=True)), title="Words and answers", ax=right)
    right.set(ylim=(0, 2.5))
    fig.savefig(out / "model" / "loss.png", dpi=80)


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; the model is written to OUT/model")
    parser.add_argument("--tower-steps", type=int, default=1500, help="optimiser steps of the tower")
    parser.add_argument("--scenes", type=int, default=160, help="scenes a step of the tower, three frames each")
    parser.add_argument("--language-steps", type=int, default=300, help="steps of the language model, 256 texts each")
    parser.add_argument("--stills", type=int, default=40000, help="single frames of looking, align and instruct")
    parser.add_argument("--looking-steps", type=int, default=2400, help="steps of looking, 96 frames each")
    parser.add_argument("--align-steps", type=int, default=40, help="steps of align, 192 frames each")
    parser.add_argument("--still-steps", type=int, default=700, help="steps of instruct, 192 frames each")
    parser.add_argument("--clips", type=int, default=4000, help="clips of the stages after that")
    parser.add_argument("--clip-steps", type=int, default=700, help="steps of instruct on clips, 48 each")
    parser.add_argument("--long-steps", type=int, default=250, help="steps of long_video, 48 clips each")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that draw")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if differs := claim(args.out / "recipe.json", recipe(args)):
        raise SystemExit(f"{args.out} was begun with another {' and '.join(differs)}: give another output folder")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.set_num_threads(1)  # the cores are for the processes that draw
    model = new_model(args.out, seed=args.seed).to(device)
    with repeatable():
        train(args, model)
    model.requires_grad_(True)
    save(model, args.out / "model", dtype=torch.bfloat16)
    draw_losses(args.out)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters in {args.out / 'model'}")


if __name__ == "__main__":
    main()
