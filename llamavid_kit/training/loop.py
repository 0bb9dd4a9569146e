"""One resumable training loop on transformers' Trainer: what `requires_grad` trains, a killed run goes on.

Which parameters train is decided in `stages` and `finetune`, which batches they see in `dataset`. Several processes
share each step (`step_share`): it sees the samples that it sees in one process, each once.
"""

import json
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from llamavid_kit.data.prompt import IGNORE
from llamavid_kit.files import BEGIN_AGAIN, check_shape, claim, read_json, read_lines, saving, write_whole
from llamavid_kit.model.identity import fingerprint, settings_key
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.processes import from_main, n_processes
from llamavid_kit.training.stages import TrainSettings

log = logging.getLogger(__name__)
LOSS_CURVE = "training.jsonl"
LOG_EVERY = 10  # steps that a logged loss is the mean of, where checkpoints allow
STEP = {"step": int, "epoch": float, "loss": float, "lr": float}  # of a line of it


def claim_training(out: Path, model: LlamaVid, record: dict) -> str:
    """Keep in `out/settings.json` what is trained there, on which model → the model's fingerprint.

    Raises ValueError where it was begun otherwise.
    """
    base = {"weights": fingerprint(model), "settings": settings_key(model), "dtype": str(model.dtype)}
    if differs := claim(out / "settings.json", record | {"model": base}):
        raise ValueError(f"{out} was trained with another {' and '.join(differs)}: give another output folder")
    return base["weights"]


def step_share(settings: TrainSettings) -> tuple[int, int]:
    """(batch size, accumulated batches) of each process, that together make a step of one process.

    Raises ValueError where a step cannot be shared evenly.
    """
    n, size, batches = n_processes(), settings.batch_size, settings.accumulate
    fewer = math.gcd(n, batches)
    if size % (n // fewer):
        fitting = [k for k in range(1, size * batches + 1) if size % (k // math.gcd(k, batches)) == 0]
        raise ValueError(
            f"{n} processes cannot share a step of {batches} x {size} samples evenly: start one of "
            f"{', '.join(map(str, fitting))} (--num_processes)"
        )
    return size // (n // fewer), batches // fewer


class _EachSampleOnce(Trainer):
    """A Trainer of several processes that does not learn twice what fills up the last batches of an epoch.

    accelerate repeats an epoch's first samples there, so that all processes have batches of one size.
    """

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        return super().get_batch_samples(map(self._without_repeats, epoch_iterator), num_batches, device)

    def _without_repeats(self, batch: dict) -> dict:
        size, n = self.args.per_device_train_batch_size, self.args.world_size
        rest = len(self.train_dataset) % (size * n)  # samples in the epoch's last batches
        if n > 1 and rest and self.accelerator.gradient_state.end_of_dataloader:
            batch["labels"][max(0, rest - size * self.args.process_index) :] = IGNORE
        return batch


class _LossCurve(TrainerCallback):
    """Appends each logged loss to a JSONL file, so that an interrupted run keeps its curve."""

    def __init__(self, path: Path):
        self.path = path

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and "loss" in logs and state.is_world_process_zero:
            rows = read_training(self.path) if self.path.exists() else []
            rows = [row for row in rows if row["step"] < state.global_step]  # a resumed run repeats some steps
            row = {"step": state.global_step, "epoch": state.epoch, "loss": logs["loss"], "lr": logs["learning_rate"]}
            write_whole(self.path, "".join(json.dumps(r) + "\n" for r in [*rows, row]))


class _NoneAtTheEnd(TrainerCallback):
    """Leaves the checkpoint after the last step out: resumed from there, the Trainer takes a step too many."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step >= state.max_steps:
            control.should_save = False


def read_training(path: Path) -> list[dict[str, Any]]:
    """The rows of a loss curve: step, epoch, loss, lr. ValueError naming file and line of one that is none."""
    rows = read_lines(path)
    for number, row in enumerate(rows, 1):
        check_shape(row, STEP, f"{path}, line {number}", way_out=BEGIN_AGAIN)
    return rows


def _last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint; those that a killed run did not finish are taken away.

    The Trainer writes `trainer_state.json` last, so a checkpoint without one that can be read is torn.
    """
    while folder.is_dir() and (last := get_last_checkpoint(str(folder))):
        try:
            read_json(Path(last) / "trainer_state.json", way_out="")
            return last
        except (FileNotFoundError, ValueError):
            log.warning("%s was not finished: not resumed from, and removed", last)
            shutil.rmtree(last)
    return None


def _not_about_mtime(record: logging.LogRecord) -> bool:
    """Two checkpoints within a second are usual here: transformers then sorts them by step, which is what we want."""
    return "mtime may not be reliable" not in record.getMessage()


def fit(
    model: nn.Module,
    dataset: Dataset,
    collate: Callable,
    *,
    out: Path | str,
    settings: TrainSettings,
    in_order: bool = False,
) -> None:
    """Train what `requires_grad`, resuming from the last checkpoint in `out` if there is one.

    bf16 autocast on a GPU and for a bfloat16 model, else float32; what trains is float32 meanwhile, because bfloat16
    loses small steps. Afterwards, and after an error, the model is in eval mode and has the types that it came with.
    `in_order` keeps the data set's order instead of shuffling. Raises ValueError for float16.

    Under `accelerate launch` every process calls this alike, and ends with the same weights. They are those of one
    process but for the order in which gradients are summed, that is in their last digits; with dropout, others are
    dropped. `out` is written by the main one. Raises ValueError as `step_share`.
    """
    dtypes = {p.dtype for p in model.parameters()}
    if torch.float16 in dtypes:
        raise ValueError("a float16 model cannot be trained under bf16 autocast: load it with dtype=torch.bfloat16")
    logging.getLogger("transformers.trainer_utils").addFilter(_not_about_mtime)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    on_gpu = torch.cuda.is_available()
    batch_size, accumulate = step_share(settings)
    trained = {p: p.dtype for p in model.parameters() if p.requires_grad}
    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulate,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        bf16=on_gpu or torch.bfloat16 in dtypes,
        use_cpu=not on_gpu,
        save_steps=settings.save_every,
        save_total_limit=1,
        logging_steps=math.gcd(LOG_EVERY, settings.save_every),  # each checkpoint at one: a mean has all its steps
        logging_first_step=True,
        report_to="none",
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=settings.workers,
        dataloader_persistent_workers=settings.workers > 0,
        dataloader_pin_memory=on_gpu,
        train_sampling_strategy="sequential" if in_order else "random",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # or one process makes larger batches, and spreads them over all GPUs
    trainer = _EachSampleOnce(
        model=model,
        args=arguments,
        train_dataset=dataset,
        data_collator=collate,
        callbacks=[_LossCurve(out / LOSS_CURVE), _NoneAtTheEnd()],
    )
    if last := from_main(lambda: _last_checkpoint(Path(arguments.output_dir))):
        log.info("resuming from %s", last)
    try:
        for parameter in trained:
            parameter.data = parameter.data.float()
        model.train()
        with saving(Path(arguments.output_dir)):
            trainer.train(resume_from_checkpoint=last)
    finally:
        for parameter, dtype in trained.items():
            parameter.data = parameter.data.to(dtype)
        model.eval()
