"""The original's feature files: a film's tower features and subtitles, read without running what a pickle asks."""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llamavid_kit.data.films import FEATURES, LongVideo
from llamavid_kit.data.prompt import IMAGE
from llamavid_kit.files import CheckpointError

FLOATS = ("f2", "f4", "f8")


def import_features(path: Path | str) -> LongVideo:
    """Read a feature file of the original.

    Raises FileNotFoundError, and CheckpointError where the file asks for anything but arrays and strings, or does not
    hold one `<image>` for each frame.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a feature file of the original ({FEATURES})")
    with path.open("rb") as file:
        try:
            content = _ArraysAndStrings(file).load()
        except CheckpointError as error:
            raise CheckpointError(f"{path} is not loaded: {error}") from None
        except Exception as error:  # a torn or made-up pickle can fail in any way; none of them is ours
            raise CheckpointError(f"{path} is not a feature file of the original: {error}") from error
    stored, inputs = (content.get("feats"), content.get("inputs")) if isinstance(content, dict) else (None, None)
    if not isinstance(stored, _Array) or not isinstance(inputs, str):
        raise CheckpointError(f'{path}: expected {{"feats": an array, "inputs": a text}}')
    try:
        features = stored.floats()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if features.ndim != 3:
        raise CheckpointError(f"{path}: feats are {features.dtype} {features.shape}, expected (T, N+1, C) floats")
    if (n_slots := inputs.count(IMAGE)) != len(features):
        raise CheckpointError(f"{path}: {n_slots} {IMAGE} in inputs for {len(features)} frames")
    return LongVideo(torch.from_numpy(features[:, 1:].copy()), inputs)


class _Dtype:
    """What a pickle says of an array's numbers; numpy itself is never asked to make one of it."""

    def __init__(self, code: str, *_: object):
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]


class _Array:
    """What a pickle says of an array: numpy gets bytes of a checked length and kind, and no object."""

    def __init__(self, *_: object):
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def floats(self) -> np.ndarray:
        whole = isinstance(self.state, tuple) and len(self.state) == 5
        parts: tuple[Any, ...] = self.state if whole else (None,) * 5
        _, shape, dtype, by_columns, data = parts
        if not isinstance(dtype, _Dtype) or dtype.code not in FLOATS or dtype.order not in ("<", ">", "="):
            raise CheckpointError(f"feats are of kind {getattr(dtype, 'code', None)!r}, expected {' or '.join(FLOATS)}")
        whole = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 2**40 for n in shape)
        kind = np.dtype(dtype.order + dtype.code)
        if not whole or type(data) is not bytes or len(data) != math.prod(shape) * kind.itemsize:
            raise CheckpointError(f"feats of shape {shape!r} do not have the bytes of such an array")
        values = np.frombuffer(data, kind).reshape(shape, order="F" if by_columns else "C")
        return values.astype(kind.newbyteorder("="))


def _latin1(text: str, encoding: str) -> bytes:
    """How a pickle of protocol 2 spells the bytes of an array."""
    if encoding != "latin1":
        raise CheckpointError(f"it encodes in {encoding!r}; expected latin1")
    return text.encode("latin1")


class _ArraysAndStrings(pickle.Unpickler):
    """Only what a pickled numpy array asks for, each name answered by a class of ours.

    `numpy.core` is called `numpy._core` since numpy 2.
    """

    def find_class(self, module: str, name: str):
        kinds = {
            ("numpy.core.multiarray", "_reconstruct"): _Array,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Dtype,
            ("_codecs", "encode"): _latin1,
        }
        kind = (module.replace("numpy._core", "numpy.core"), name)
        if kind not in kinds:
            raise CheckpointError(f"it asks for {module}.{name}, feature files need arrays and strings alone")
        return kinds[kind]
