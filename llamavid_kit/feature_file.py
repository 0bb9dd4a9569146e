"""The original's feature files for long video, `*.pkl`: the one door through which a pickle comes in.

Input: {"feats": (T, N+1, C) float16, "inputs": "<image>…<image>subtitle<image>…"}, from its `extract_features` tool.
Output: a tensor and a string. The unpickler knows four names and can build nothing but numpy arrays and strings.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llamavid_kit.original_config import CheckpointError
from llamavid_kit.prompt import IMAGE

SUFFIX = ".pkl"


@dataclass(frozen=True)
class LongVideo:
    """features: (T, N, C) tower features in the file's dtype. Quirk: without the class token that the file holds first,
    because the original drops it here (`feats[:, 1:]`), so that its text decoder does not see it for long video.
    inputs: one `<image>` a frame with the subtitles between them."""

    features: Tensor
    inputs: str


def import_features(path: Path | str) -> LongVideo:
    """Read a feature file of the original.

    Raises FileNotFoundError, and CheckpointError where the file asks for anything but arrays and strings, or does not
    hold one `<image>` for each frame.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a feature file of the original ({SUFFIX})")
    with path.open("rb") as file:
        try:
            found = _ArraysAndStrings(file).load()
        except CheckpointError as error:
            raise CheckpointError(f"{path} is not loaded: {error}") from None
        except Exception as error:  # a torn or made-up pickle can fail in any way; none of them is ours
            raise CheckpointError(f"{path} is no feature file of the original: {error}") from error
    features, inputs = (found.get("feats"), found.get("inputs")) if isinstance(found, dict) else (None, None)
    if not isinstance(features, np.ndarray) or not isinstance(inputs, str):
        raise CheckpointError(f'{path}: expected {{"feats": an array, "inputs": a text}}')
    if features.ndim != 3 or not np.issubdtype(features.dtype, np.floating):
        raise CheckpointError(f"{path}: feats are {features.dtype} {features.shape}, expected (T, N+1, C) floats")
    if (n_slots := inputs.count(IMAGE)) != len(features):
        raise CheckpointError(f"{path}: {n_slots} {IMAGE} in inputs for {len(features)} frames")
    return LongVideo(torch.from_numpy(features[:, 1:].copy()), inputs)


def _latin1(text: str, encoding: str) -> bytes:
    """How a pickle of protocol 2 spells the bytes of an array."""
    if encoding != "latin1":
        raise CheckpointError(f"it encodes in {encoding!r}; expected latin1")
    return text.encode("latin1")


class _ArraysAndStrings(pickle.Unpickler):
    """Only what a pickled numpy array is made of. `numpy.core` is called `numpy._core` since numpy 2."""

    def find_class(self, module: str, name: str):
        known = {
            ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _latin1,
        }
        asked = (module.replace("numpy._core", "numpy.core"), name)
        if asked not in known:
            raise CheckpointError(f"it asks for {module}.{name}, feature files need arrays and strings alone")
        return known[asked]
