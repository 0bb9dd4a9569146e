"""A stand-in for bitsandbytes, for transformers' and our code around it: two weights a byte, on any device.

Each block of 64 weights has sixteen even levels; names and arguments are those of bitsandbytes 0.50, the numbers are
not. As there, a parameter is packed when it is moved, and the state dict holds the scales beside the bytes.
"""

import sys
from itertools import product
from types import SimpleNamespace

import torch
from peft import import_utils
from peft.tuners.lora import model as lora
from torch import Tensor, nn
from transformers.integrations import bitsandbytes
from transformers.quantizers import quantizer_bnb_4bit

BLOCK = 64


class Params4bit(nn.Parameter):
    def __new__(cls, data=None, requires_grad=False, quant_state=None, bnb_quantized=False, **settings):
        self = torch.Tensor._make_subclass(cls, torch.empty(0) if data is None else data, requires_grad)
        self.__dict__.update(settings, quant_state=quant_state, bnb_quantized=bnb_quantized)
        return self

    def to(self, *args, **kwargs):
        if self.bnb_quantized or self.is_meta:
            return self
        blocks = nn.functional.pad(self.data.float().flatten(), (0, -self.numel() % BLOCK)).view(-1, BLOCK)
        scale = blocks.abs().amax(1, keepdim=True)
        levels = ((blocks / scale.clamp(min=1e-30) + 1) * 7.5).round().to(torch.uint8).flatten()
        state = SimpleNamespace(absmax=scale.flatten(), shape=self.shape, dtype=self.dtype)
        settings = {
            name: value for name, value in self.__dict__.items() if name not in ("quant_state", "bnb_quantized")
        }
        return Params4bit((levels[::2] * 16 + levels[1::2])[:, None], False, state, True, **settings)


class Linear4bit(nn.Linear):
    def __init__(self, n_in, n_out, bias=True, compute_dtype=None, **settings):
        super().__init__(n_in, n_out, bias)
        self.weight, self.compute_dtype = Params4bit(self.weight.data, **settings), compute_dtype

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.weight.quant_state is not None:
            destination[f"{prefix}weight.absmax"] = self.weight.quant_state.absmax

    def forward(self, x: Tensor) -> Tensor:
        weight = dequantize_4bit(self.weight, self.weight.quant_state).to(self.compute_dtype)
        return nn.functional.linear(x.to(self.compute_dtype), weight).to(x.dtype)


def dequantize_4bit(packed: Tensor, state: SimpleNamespace) -> Tensor:
    levels = torch.stack([packed.data // 16, packed.data % 16], 1).view(-1, BLOCK)
    return (
        ((levels / 7.5 - 1) * state.absmax[:, None]).flatten()[: state.shape.numel()].view(state.shape).to(state.dtype)
    )


class Linear8bitLt(nn.Linear):
    """Which peft asks after, too."""


def install(monkeypatch) -> None:
    """Lets transformers and peft find it until the test ends."""
    packing = SimpleNamespace(Linear4bit=Linear4bit, Params4bit=Params4bit, Linear8bitLt=Linear8bitLt)
    module = SimpleNamespace(nn=packing, supported_torch_devices={"cpu", "cuda"})
    monkeypatch.setitem(sys.modules, "bitsandbytes", module)
    monkeypatch.setattr(bitsandbytes, "bnb", module, raising=False)
    monkeypatch.setattr(quantizer_bnb_4bit, "is_bitsandbytes_available", lambda: True)
    for place, name in product((import_utils, lora), ("is_bnb_available", "is_bnb_4bit_available")):
        monkeypatch.setattr(place, name, lambda: True)
