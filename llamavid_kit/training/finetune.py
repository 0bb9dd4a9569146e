"""Fixed-token LoRA on instruction pairs, in the study's setting; and a model with its adapter.

Tower, text decoder and context attention stay frozen, so the frame tokens of a question never change and no vision
runs after the first pass. The published stages are `stage.train_stage`'s; one of them, `moving_token_lora`, is the
original's LoRA, which changes the frame tokens.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model

from llamavid_kit.data.films import is_film
from llamavid_kit.data.pairs import InstructionPair
from llamavid_kit.files import whole
from llamavid_kit.model.checkpoints import BASE, PROJECTOR, with_adapter
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.decoding import release
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.lora import LoraSettings, lora_config
from llamavid_kit.model.planner import training_need
from llamavid_kit.processes import from_main, held, n_processes
from llamavid_kit.training.dataset import TokenCollate, TokenPairs
from llamavid_kit.training.loop import claim_training, fit, step_share
from llamavid_kit.training.memory import SHARES, VISION, aside, recomputed
from llamavid_kit.training.stages import TrainSettings

log = logging.getLogger(__name__)
ADAPTER = "adapter"


def finetune(
    model: LlamaVid,
    pairs: Sequence[InstructionPair],
    tokens: Sequence[VisualTokens],
    *,
    out: Path | str,
    settings: TrainSettings | None = None,
    lora: LoraSettings | None = None,
) -> Path:
    """Fixed-token LoRA: adapters and the content projector learn from cached frame tokens → the adapter's folder.

    Args:
        pairs: instruction pairs of the training split, in the order of `tokens`.
        tokens: the clips' frame tokens at this arm's fps (`frame_cache.FrameCache.tokens`).
        out: gets `adapter/`, `training.jsonl` (the loss curve) and, while running, a checkpoint to resume from.

    Trainable as in the original's LoRA with the study's `freeze_all`: the adapter and `mm_projector` (ours:
    `content_projector`). On a model in 4 bits this is QLoRA; what trains is float all the same. Done already (an
    adapter lies in `out`): nothing runs. `model` is left as it was.
    On a GPU the parts that look at frames are put aside, and so many samples pass at once, with so many layers
    recomputed, as the planner thinks fastest in the memory that is free; an optimiser's step sees the same samples.
    Several processes share each step; what of that is as in one process says `loop.fit`.
    Raises ValueError where `out` was begun with another model, other pairs, frames or settings, and as `step_share`.
    """
    out = Path(out)
    settings, lora = settings or TrainSettings(), lora or LoraSettings()
    step_share(settings)
    if not pairs:
        raise ValueError("no training pairs: fine-tuning needs a train split")
    if films := [pair.id for pair in pairs if is_film(pair)]:
        raise ValueError(f"{films[0]!r} is about a film with subtitles: train a stage on it (--stage long_video)")
    dataset = TokenPairs(model, pairs, tokens, max_length=settings.max_length)
    with held(out):
        record = {"train": asdict(settings), "lora": asdict(lora)}
        base = from_main(lambda: claim_training(out, model, record | {"data": _digest(pairs, tokens)}))
        if from_main(lambda: (out / ADAPTER / "adapter_config.json").is_file()):
            log.info("%s is trained already", out / ADAPTER)
            return out / ADAPTER
        release(model)
        torch.manual_seed(settings.seed)
        config = lora_config(lora, modules_to_save=[PROJECTOR])
        collate = TokenCollate(model.tokenizer.pad_token_id, settings.max_length)
        with _left_as_it_was(model):
            adapted = get_peft_model(model, config)
            try:
                with aside(model, VISION if model.device.type == "cuda" else ()):
                    _fit_in_memory(adapted, dataset, collate, out=out, settings=settings)
                from_main(lambda: _save(adapted, out / ADAPTER, base))
            finally:
                adapted.unload()
        return out / ADAPTER


def _fit_in_memory(
    adapted: PeftModel, dataset: TokenPairs, collate: TokenCollate, *, out: Path, settings: TrainSettings
) -> None:
    """`fit`, in smaller parts of a batch where a GPU's memory is full after all; it goes on at the last checkpoint."""
    model = adapted.get_base_model()
    at_once, share = from_main(lambda: _parts(model, settings.batch_size, dataset.longest))
    while True:
        accumulate = settings.accumulate * (settings.batch_size // at_once)
        try:
            with recomputed(model.language_model, share):
                parts = replace(settings, batch_size=at_once, accumulate=accumulate)
                return fit(adapted, dataset, collate, out=out, settings=parts)
        except torch.OutOfMemoryError as error:
            if (at_once, share) == (1, 1.0) or n_processes() > 1:  # the others wait for this one
                raise
            smaller = max(n for n in _divisors(settings.batch_size) if n < max(at_once, 2))
            log.warning("no memory for %d samples at once, from now on %d, recomputed: %s", at_once, smaller, error)
        at_once, share = smaller, 1.0


def _parts(model: LlamaVid, batch: int, longest: int) -> tuple[int, float]:
    """Samples at once, a divisor of the batch, and the share of layers recomputed: the fastest of what should fit."""
    if model.device.type != "cuda":
        return batch, 0.0
    plans = []
    for n, share in product(_divisors(batch), SHARES):
        need = training_need(model.config, batch=n, n_tokens=longest, share=share)
        if need.fits(model.device):
            plans.append((need.seconds * (batch // n), -n, share))
    if not plans:
        log.warning("memory may not do for one sample of %d tokens with all layers recomputed", longest)
        return 1, 1.0
    _, n, share = min(plans)
    return -n, share


def _divisors(n: int) -> list[int]:
    return [k for k in range(1, n + 1) if n % k == 0]


def _save(adapted: PeftModel, folder: Path, base: str) -> None:
    with whole(folder) as part:
        adapted.save_pretrained(part)
        (part / BASE).write_text(json.dumps({"weights": base}), encoding="utf-8")


def _digest(pairs: Sequence[InstructionPair], tokens: Sequence[VisualTokens]) -> str:
    """What is learned from: questions, answers, and the frame tokens themselves, so that another fps differs."""
    digest = hashlib.sha256()
    for pair, clip in zip(pairs, tokens, strict=True):
        digest.update(json.dumps([pair.id, pair.question, pair.answer, len(clip)]).encode())
        for tensor in (clip.context, clip.content):
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def adapter(model: LlamaVid, folder: Path | str | None) -> Iterator[LlamaVid]:
    """`model` with a trained adapter inside the `with` block, as it was afterwards; None adds nothing.

    Raises CheckpointError as `checkpoints.with_adapter`.
    """
    if folder is None:
        yield model
        return
    with _left_as_it_was(model):
        adapted = with_adapter(model, folder).eval()
        try:
            yield adapted.get_base_model()
        finally:
            adapted.unload()


@contextmanager
def _left_as_it_was(model: LlamaVid) -> Iterator[None]:
    """Puts back what peft's `unload` leaves changed: the trained projector, which parameters train, and the mode."""
    parameters, training = [(p, p.requires_grad) for p in model.parameters()], model.training
    projector = model.content_projector
    try:
        yield
    finally:
        model.content_projector = projector  # `unload` leaves the adapter's copy of a module that it saves
        for parameter, trains in parameters:
            parameter.requires_grad_(trains)
        model.train(training)
