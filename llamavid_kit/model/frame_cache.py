"""Frame tokens on disk, so that an FPS sweep and every epoch after the first need no vision.

Input: a clip, a question and a sampling rate. Output: the clip's `VisualTokens` and their timestamps. A file is keyed
by the clip's content, the model's vision side, the question and the kind of content tokens, never by a file name; it
holds whatever frames anybody asked for, so the frames of 1 fps come free with those of 6 fps. A file may go at any time
(`prune`): whoever needs it computes it again. The tower's features are not kept: 0.7 MB a frame of the 7B, and who has
several questions about a clip asks them together, which encodes a frame once.
"""

import hashlib
import logging
import os
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from llamavid_kit.data.sampling import Rule
from llamavid_kit.data.video import Video
from llamavid_kit.files import whole
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.identity import vision_key
from llamavid_kit.model.llama_vid import LlamaVid

log = logging.getLogger(__name__)
FRAME_TOKENS = "frame_tokens"  # a run's cache, in its folder
DIGEST = "digest"  # of an entry, beside its tensors
ENTRY = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}\.safetensors")  # what `FrameCache` calls its files
Look = tuple[str, str | None]  # a question, and the kind of content tokens (None: as the model is configured)


class FrameCache:
    """Frame tokens of one model, kept in `folder`; None keeps nothing.

    The model's projectors and its language model play no part, so adapters of one base model share a cache. Threads
    and processes may ask at the same time. limit_bytes: of the folder; what is written takes the place of what was used
    longest ago (`prune`).
    """

    def __init__(self, model: LlamaVid, folder: Path | str | None = None, *, limit_bytes: int | None = None):
        self.model, self.limit_bytes, self._pruned = model, limit_bytes, False
        self.folder = None if folder is None else Path(folder)
        self._model_in_use, self._writing = threading.Lock(), threading.Lock()  # only decoding runs side by side

    @cached_property
    def vision_key(self) -> str:
        """Hash of what frame tokens depend on, taken when it is first needed: gigabytes are read for it."""
        return vision_key(self.model)

    def tokens(
        self, video: Video, question: str, *, fps: float, content: str | None = None, rule: Rule = "time"
    ) -> tuple[VisualTokens, np.ndarray]:
        """The frame tokens of `video` for `question` at `fps`, and timestamps_s (T,) of the frames they came from.

        content: content tokens a frame, None as the model is configured. The attention map is not kept. Raises
        VideoError where the clip cannot be read.
        """
        (tokens,), times = self.tokens_of(video, [question], fps=fps, content=content, rule=rule)
        return tokens, times

    def tokens_of(
        self, video: Video, questions: Sequence[str], *, fps: float, content: str | None = None, rule: Rule = "time"
    ) -> tuple[list[VisualTokens], np.ndarray]:
        """As `tokens`, of several questions; a frame is decoded and goes through the vision tower once.

        All of them lie in memory: context and content of a frame and a question, 5.6 KB for the 7B.
        """
        sample = video.sample(fps, rule=rule)
        tokens = []
        for entry in self._entries(video, [(question, content) for question in questions], sample.indices):
            at = torch.from_numpy(np.searchsorted(entry["indices"].numpy(), sample.indices))
            tokens.append(VisualTokens(entry["context"][at], entry["content"][at]))
        return tokens, sample.timestamps_s

    def fill(
        self,
        video: Video,
        questions: Sequence[str],
        *,
        fps: float,
        contents: Sequence[str | None] = (None,),
        rule: Rule = "time",
    ) -> None:
        """Keeps the frame tokens of several questions and kinds of content; each frame is encoded once."""
        self._entries(video, list(product(questions, contents)), video.sample(fps, rule=rule).indices)

    @torch.inference_mode()
    def blank(self, question: str, *, content: str | None = None) -> VisualTokens:
        """The tokens of one frame that is even grey, 0 after normalisation, on the CPU; they are not kept."""
        size = self.model.config.image_size
        with self._model_in_use:
            features = self.model.encode_frames(torch.zeros(1, 3, size, size))
            return self.model.frame_tokens(features, question, content=content).to("cpu")

    def _entries(self, video: Video, looks: Sequence[Look], indices: np.ndarray) -> list[dict[str, torch.Tensor]]:
        """What is kept of each (question, content), once at least the frames at `indices` are."""
        reader, paths = video.reader, [self._path(video, *look) for look in looks]
        entries = [_read(path) for path in paths]
        held = [entry["indices"].numpy() if entry else np.empty(0, np.int64) for entry in entries]
        lacking = [np.setdiff1d(indices, at) for at in held]
        for frames in {tuple(at): at for at in lacking if len(at)}.values():
            places = [k for k, at in enumerate(lacking) if np.array_equal(at, frames)]
            computed = self.compute(video, [looks[k] for k in places], frames)
            if video.reader != reader:  # it gave up on the way: another reader's frames have another key
                return self._entries(video, looks, indices)
            for k, tokens in zip(places, computed, strict=True):
                entries[k] = entry = self._merge(entries[k], frames, tokens)
                self._write(entry, paths[k])
        return [entry for entry in entries if entry is not None]

    def _write(self, entry: dict[str, torch.Tensor], path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._writing:
                with whole(path) as partial:
                    save_file(entry | {DIGEST: _digest(entry)}, partial)
                if self.limit_bytes is not None and prune(path.parent, self.limit_bytes) and not self._pruned:
                    self._pruned = True
                    log.warning(
                        "%s is full: what was used longest ago goes, and is encoded again if need be", path.parent
                    )

    @torch.inference_mode()
    def compute(self, video: Video, looks: Sequence[Look], indices: np.ndarray) -> list[VisualTokens]:
        """The tokens of the frames at `indices` for each (question, content), on the CPU."""
        chunks = self.model.look(video, looks, indices, lock=self._model_in_use)
        on_cpu = [[tokens.to("cpu") for tokens in chunk] for chunk in chunks]
        return [VisualTokens.cat(parts) for parts in zip(*on_cpu, strict=True)]

    def _path(self, video: Video, question: str, content: str | None) -> Path | None:
        if self.folder is None:
            return None
        with self._writing:  # the key is taken by one thread
            key = self.vision_key
        look = "\0".join([key, question, content or self.model.config.content, video.reader])
        return self.folder / f"{video.content_key()[:32]}-{hashlib.sha256(look.encode()).hexdigest()[:16]}.safetensors"

    @staticmethod
    def _merge(stored: dict | None, indices: np.ndarray, tokens: VisualTokens) -> dict:
        new = {"indices": torch.from_numpy(indices), "context": tokens.context, "content": tokens.content}
        whole = {name: torch.cat([stored[name], t]) for name, t in new.items()} if stored else new
        order = whole["indices"].argsort()
        return {name: t[order].contiguous() for name, t in whole.items()}


@dataclass(frozen=True)
class Kept:
    """One file of a cache: bytes, and when it was last written or read, in seconds since 1970."""

    path: Path
    n_bytes: int
    used_s: float


def entries(folder: Path | str) -> list[Kept]:
    """The files of a cache, the one that was used longest ago first; other files are none of its."""
    found = []
    with os.scandir(folder) as files:
        for file in files:
            if ENTRY.fullmatch(file.name) and file.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):  # another process has just removed it
                    stat = file.stat(follow_symlinks=False)
                    found.append(Kept(Path(file.path), stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda kept: (kept.used_s, kept.path))


def prune(folder: Path | str, limit_bytes: int) -> list[Kept]:
    """Removes what was used longest ago until at most `limit_bytes` are left → what was removed.

    Also while others read and write there: who finds a file no more computes it again.
    """
    kept, removed = entries(folder), []
    over = sum(file.n_bytes for file in kept) - limit_bytes
    for file in kept:
        if over <= 0:
            break
        file.path.unlink(missing_ok=True)
        removed.append(file)
        over -= file.n_bytes
    return removed


def _read(path: Path | None) -> dict[str, torch.Tensor] | None:
    """One file's tensors; None where there is none, or one that is not as it was written, which is said.

    It is opened once, since another process may put another one in its place. Its time of change says when it was used.
    """
    if path is None:
        return None
    try:
        entry = load(path.read_bytes())
    except FileNotFoundError:
        return None
    except (SafetensorError, LookupError, ValueError, RuntimeError):  # by what is torn
        entry = {}
    digest = entry.pop(DIGEST, torch.empty(0))
    if not digest.equal(_digest(entry)):
        log.warning("%s is damaged, or of an older version of this kit; its frames are encoded again", path)
        return None
    with suppress(OSError):  # removed meanwhile, or in a folder that is only read
        os.utime(path)
    return entry


def _digest(entry: dict[str, torch.Tensor]) -> torch.Tensor:
    """(32,) uint8, sha256 of names, shapes and contents."""
    digest = hashlib.sha256()
    for name, tensor in sorted(entry.items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy())
    return torch.tensor([*digest.digest()], dtype=torch.uint8)
