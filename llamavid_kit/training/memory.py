"""GPU memory of a training: activations that are computed again instead of kept, and parts that are put aside.

Neither changes a number of the training. How much of it a training needs is decided in `finetune`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

VISION = ("vision_tower", "text_decoder")  # does not run where frame tokens are kept
SHARES = (0.0, 1 / 3, 2 / 3, 1.0)  # of the layers, that are worth a choice


@contextmanager
def recomputed(language_model: nn.Module, share: float) -> Iterator[None]:
    """Inside the block so large a share of the layers forget their activations, which the backward pass computes again.

    They are spread evenly. All of them make a step of the 7B on 8 clips of 720 frames 43% slower, in a ninth of the
    memory; on one clip of 60 frames 92% slower, in half of it (tests/model/gpu_records.jsonl).
    """
    layers = [m for m in language_model.modules() if isinstance(m, GradientCheckpointingLayer)]
    chosen = [layer for k, layer in enumerate(layers) if int((k + 1) * share) > int(k * share)]
    try:
        for layer in chosen:
            layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        yield
    finally:
        for layer in chosen:
            layer.gradient_checkpointing = False


@contextmanager
def aside(model: nn.Module, parts: Sequence[str]) -> Iterator[None]:
    """Inside the block `parts` of the model, which do not run, lie in the machine's own memory, out of the model."""
    kept = {name: getattr(model, name) for name in parts}
    device = next(model.parameters()).device
    try:
        for name, part in kept.items():
            setattr(model, name, nn.Identity())
            part.to("cpu")
        yield
    finally:
        for name, part in kept.items():
            setattr(model, name, part.to(device))
