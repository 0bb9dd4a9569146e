"""The original's feature files: a film's tower features and subtitles, read without running what a pickle asks."""

import pickle
from pathlib import Path

import numpy as np
import torch

from llamavid_kit.data.films import FEATURES, LongVideo
from llamavid_kit.data.prompt import IMAGE
from llamavid_kit.files import CheckpointError


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
            raise CheckpointError(f"{path} is no feature file of the original: {error}") from error
    features, inputs = (content.get("feats"), content.get("inputs")) if isinstance(content, dict) else (None, None)
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
        kinds = {
            ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _latin1,
        }
        kind = (module.replace("numpy._core", "numpy.core"), name)
        if kind not in kinds:
            raise CheckpointError(f"it asks for {module}.{name}, feature files need arrays and strings alone")
        return kinds[kind]
