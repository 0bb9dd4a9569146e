"""Training: what is trainable, which batches it sees, and a resumable loop on transformers' Trainer.

`finetune` teaches a model instruction pairs from cached frame tokens with LoRA, the study's setting: tower, text
decoder and context attention stay frozen, so the frame tokens of a question never change and no vision runs after the
first pass. `fit` is the loop underneath, used for the shipped model and the paper's stages (`training.py`) too. Where
frames come from is left to `frame_cache.py`, how answers are judged to `answering.py` and `scoring.py`.
"""

import hashlib
import json
import logging
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from llamavid_kit.context_attention import VisualTokens
from llamavid_kit.conversation import TrainingText, training_text
from llamavid_kit.folders import claim, read_text
from llamavid_kit.long_video import is_film
from llamavid_kit.model import LlamaVid
from llamavid_kit.prompt import IGNORE
from llamavid_kit.stages import LoraSettings, TrainSettings, lora_config

log = logging.getLogger(__name__)
ADAPTER = "adapter"
LOSS_CURVE = "training.jsonl"


class TokenPairs(Dataset):
    """Instruction pairs with their frame tokens: item i is (ids, labels, VisualTokens)."""

    def __init__(
        self, model: LlamaVid, pairs: Sequence, tokens: Sequence[VisualTokens], *, max_length: int | None = None,
        turns: Sequence[str] | None = None,
    ):  # fmt: skip
        """turns: of films, as in `pair_texts`."""
        if len(pairs) != len(tokens):
            raise ValueError(f"{len(pairs)} pairs but frame tokens of {len(tokens)} clips")
        self.tokens = tokens
        self.text = [(text.ids, text.labels) for text in pair_texts(model, pairs, max_length=max_length, turns=turns)]

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, i: int):
        return (*self.text[i], self.tokens[i])


def pair_texts(
    model: LlamaVid, pairs: Sequence, *, max_length: int | None = None, turns: Sequence[str] | None = None
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


def finetune(
    model: LlamaVid,
    pairs: Sequence,
    tokens: Sequence[VisualTokens],
    *,
    out: Path | str,
    settings: TrainSettings | None = None,
    lora: LoraSettings | None = None,
) -> Path:
    """LoRA on the language model, and the content projector, from cached frame tokens → the adapter's folder.

    Args:
        pairs: instruction pairs of the training split, in the order of `tokens`.
        tokens: the clips' frame tokens at this arm's fps (`frame_cache.FrameCache.tokens`).
        out: gets `adapter/`, `training.jsonl` (the loss curve) and, while running, a checkpoint to resume from.

    Trainable as in the original's LoRA with the study's `freeze_all`: the adapter and `mm_projector` (ours:
    `content_projector`). Done already (an adapter lies in `out`): nothing runs. `model` is left as it was.
    Raises ValueError where `out` was begun with other pairs, frames or settings.
    """
    out = Path(out)
    settings, lora = settings or TrainSettings(), lora or LoraSettings()
    if not pairs:
        raise ValueError("no training pairs: fine-tuning needs a train split")
    if films := [pair.id for pair in pairs if is_film(pair)]:
        raise ValueError(f"{films[0]!r} is about a film with subtitles: train a stage on it (--stage long_video)")
    dataset = TokenPairs(model, pairs, tokens, max_length=settings.max_length)
    claim_training(out, {"train": asdict(settings), "lora": asdict(lora), "data": _digest(pairs, tokens)})
    if (out / ADAPTER / "adapter_config.json").is_file():
        log.info("%s is trained already", out / ADAPTER)
        return out / ADAPTER
    torch.manual_seed(settings.seed)
    config = lora_config(lora, modules_to_save=["content_projector"])
    collate = TokenCollate(model.tokenizer.pad_token_id, settings.max_length)
    with _left_as_it_was(model):
        adapted = get_peft_model(model, config)
        try:
            fit(adapted, dataset, collate, out=out, settings=settings)
            adapted.save_pretrained(out / ADAPTER)
        finally:
            adapted.unload()
    return out / ADAPTER


def _digest(pairs: Sequence, tokens: Sequence[VisualTokens]) -> str:
    """What is learned from: questions, answers, and the frame tokens themselves, so that another fps differs."""
    digest = hashlib.sha256()
    for pair, seen in zip(pairs, tokens, strict=True):
        digest.update(json.dumps([pair.id, pair.question, pair.answer, len(seen)]).encode())
        for tensor in (seen.context, seen.content):
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def claim_training(out: Path, record: dict) -> None:
    """Keep in `out/settings.json` what is trained there; ValueError where it was begun with something else."""
    if differs := claim(out / "settings.json", record):
        raise ValueError(f"{out} was trained with another {' and '.join(differs)}: give another output folder")


@contextmanager
def adapter(model: LlamaVid, folder: Path | str | None) -> Iterator[LlamaVid]:
    """`model` with a trained adapter inside the `with` block, as it was afterwards; None adds nothing."""
    if folder is None:
        yield model
        return
    with _left_as_it_was(model):
        adapted = PeftModel.from_pretrained(model, folder).eval()
        try:
            yield adapted.get_base_model()
        finally:
            adapted.unload()


@contextmanager
def _left_as_it_was(model: LlamaVid) -> Iterator[None]:
    """Puts back what peft's `unload` leaves changed: the trained projector, which parameters train, and the mode."""
    trains, training = [(p, p.requires_grad) for p in model.parameters()], model.training
    projector = model.content_projector
    try:
        yield
    finally:
        model.content_projector = projector  # `unload` leaves the adapter's copy of a module that it saves
        for parameter, wanted in trains:
            parameter.requires_grad_(wanted)
        model.train(training)


class _LossCurve(TrainerCallback):
    """Appends each logged loss to a JSONL file, so that an interrupted run keeps its curve."""

    def __init__(self, path: Path):
        self.path = path

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and "loss" in logs:
            kept = [json.loads(x) for x in read_text(self.path).splitlines()] if self.path.exists() else []
            kept = [row for row in kept if row["step"] < state.global_step]  # a resumed run repeats some steps
            row = {"step": state.global_step, "epoch": state.epoch, "loss": logs["loss"], "lr": logs["learning_rate"]}
            self.path.write_text("".join(json.dumps(r) + "\n" for r in [*kept, row]))


def _last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint; those that a killed run did not finish are taken away.

    The Trainer writes `trainer_state.json` last, so a checkpoint without one that can be read is torn.
    """
    while folder.is_dir() and (last := get_last_checkpoint(str(folder))):
        try:
            json.loads((Path(last) / "trainer_state.json").read_text(encoding="utf-8"))
            return last
        except (FileNotFoundError, ValueError):
            log.warning("%s was not finished: not resumed from, and removed", last)
            shutil.rmtree(last)
    return None


def _not_about_mtime(record: logging.LogRecord) -> bool:
    """Two checkpoints within a second are usual here: transformers then sorts them by step, which is what we want."""
    return "mtime may not be reliable" not in record.getMessage()


def fit(
    model, dataset: Dataset, collate: Callable, *, out: Path | str, settings: TrainSettings, in_order: bool = False
) -> None:
    """Train what `requires_grad`, resuming from the last checkpoint in `out` if there is one.

    bf16 autocast on a GPU and for a bfloat16 model, else float32; what trains is float32 meanwhile, because bfloat16
    loses small steps. `in_order` keeps the data set's order instead of shuffling. Raises ValueError for float16.
    """
    dtypes = {p.dtype for p in model.parameters()}
    if torch.float16 in dtypes:
        raise ValueError("a float16 model cannot be trained under bf16 autocast: load it with dtype=torch.bfloat16")
    logging.getLogger("transformers.trainer_utils").addFilter(_not_about_mtime)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    on_gpu = torch.cuda.is_available()
    kept = {p: p.dtype for p in model.parameters() if p.requires_grad}
    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"), per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        num_train_epochs=settings.epochs, max_steps=settings.max_steps, learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler, warmup_steps=settings.warmup_ratio, weight_decay=settings.weight_decay,
        seed=settings.seed, bf16=on_gpu or torch.bfloat16 in dtypes, use_cpu=not on_gpu,
        save_steps=settings.save_every, save_total_limit=1,
        logging_steps=10, logging_first_step=True, report_to="none", remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=settings.workers, dataloader_persistent_workers=settings.workers > 0,
        dataloader_pin_memory=on_gpu, train_sampling_strategy="sequential" if in_order else "random",
    )  # fmt: skip
    trainer = Trainer(
        model=model, args=arguments, train_dataset=dataset, data_collator=collate,
        callbacks=[_LossCurve(out / LOSS_CURVE)],
    )  # fmt: skip
    last = _last_checkpoint(Path(arguments.output_dir))
    if last:
        log.info("resuming from %s", last)
    for parameter in kept:
        parameter.data = parameter.data.float()
    model.train()
    trainer.train(resume_from_checkpoint=last)
    for parameter, dtype in kept.items():
        parameter.data = parameter.data.to(dtype)
    model.eval()
