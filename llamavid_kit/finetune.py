"""Training: what is trainable, which batches it sees, and a resumable loop on transformers' Trainer.

`finetune` teaches a model instruction pairs from cached frame tokens with LoRA, the study's setting: tower, text
decoder and context attention stay frozen, so the frame tokens of a question never change and no vision runs after the
first pass. `fit` is the loop underneath, used for the shipped model too. Where frames come from is left to
`frame_cache.py`, how answers are judged to `answering.py` and `scoring.py`.
"""

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from llamavid_kit.context_attention import VisualTokens
from llamavid_kit.model import LlamaVid
from llamavid_kit.prompt import IGNORE, human_turn, supervised

log = logging.getLogger(__name__)
ADAPTER = "adapter"
LOSS_CURVE = "training.jsonl"
LORA_TARGETS = r"language_model\..*\.(q|k|v|o|gate|up|down)_proj"  # the original's LoRA: every linear of the LLM


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast. The defaults fine-tune the shipped model on a CPU; the study's are in `study.py`."""

    learning_rate: float = 2e-3
    batch_size: int = 16
    epochs: float = 6.0
    max_steps: int = -1  # where positive, replaces `epochs`
    warmup_ratio: float = 0.03
    scheduler: str = "cosine"
    weight_decay: float = 0.0
    seed: int = 0
    save_every: int = 200
    workers: int = 0


@dataclass(frozen=True)
class LoraSettings:
    """Adapter size. `r`, `alpha`, `dropout` as in peft; the original's are 64, 16, 0.05 on the 7B model."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0


class TokenPairs(Dataset):
    """Instruction pairs with their frame tokens: item i is (ids, labels, VisualTokens)."""

    def __init__(self, model: LlamaVid, pairs: Sequence, tokens: Sequence[VisualTokens]):
        if len(pairs) != len(tokens):
            raise ValueError(f"{len(pairs)} pairs but frame tokens of {len(tokens)} clips")
        self.tokens = tokens
        name = model.config.template
        self.text = [supervised(model.tokenizer, name, [(human_turn(p.question), p.answer)]) for p in pairs]

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, i: int):
        return (*self.text[i], self.tokens[i])


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
    """
    out = Path(out)
    settings, lora = settings or TrainSettings(), lora or LoraSettings()
    if (out / ADAPTER / "adapter_config.json").is_file():
        return out / ADAPTER
    if not pairs:
        raise ValueError("no training pairs: fine-tuning needs a train split")
    dataset = TokenPairs(model, pairs, tokens)
    torch.manual_seed(settings.seed)
    config = LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=LORA_TARGETS,
        modules_to_save=["content_projector"],
    )  # fmt: skip
    pad_id = model.tokenizer.pad_token_id

    def collate(samples):
        batch = collate_text([(ids, labels) for ids, labels, _ in samples], pad_id)
        return batch | {"visual": [[(t.context, t.content)] for _, _, t in samples]}

    with _left_as_it_was(model):
        adapted = get_peft_model(model, config)
        try:
            fit(adapted, dataset, collate, out=out, settings=settings)
            adapted.save_pretrained(out / ADAPTER)
        finally:
            adapted.unload()
    (out / "settings.json").write_text(json.dumps({"train": asdict(settings), "lora": asdict(lora)}, indent=1))
    return out / ADAPTER


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
            kept = [json.loads(x) for x in self.path.read_text().splitlines()] if self.path.exists() else []
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


def fit(
    model, dataset: Dataset, collate: Callable, *, out: Path | str, settings: TrainSettings, in_order: bool = False
) -> None:
    """Train what `requires_grad`, resuming from the last checkpoint in `out` if there is one.

    bf16 autocast on a GPU, float32 on a CPU. `in_order` keeps the data set's order instead of shuffling.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    on_gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"), per_device_train_batch_size=settings.batch_size,
        num_train_epochs=settings.epochs, max_steps=settings.max_steps, learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler, warmup_steps=settings.warmup_ratio, weight_decay=settings.weight_decay,
        seed=settings.seed, bf16=on_gpu, use_cpu=not on_gpu, save_steps=settings.save_every, save_total_limit=1,
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
    model.train()
    trainer.train(resume_from_checkpoint=last)
    model.eval()
