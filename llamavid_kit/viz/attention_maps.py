"""Context attention as data: one clip watched once, any question asked of it, and what each frame's map looks like.

`watch` decodes and encodes (no question plays a part: keep what it returns), `look` asks, `shown_maps` and `timeline`
turn the attention (T frames, M queries, N patches) into what a figure draws. Nothing is drawn or kept here.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from llamavid_kit.data.pixels import resize_and_crop
from llamavid_kit.data.prompt import open_prompt
from llamavid_kit.data.video import Video
from llamavid_kit.model.answering import generate_texts
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.model.planner import check_fits

SHOWN_PX = 224
MAX_NEW_TOKENS = 48

DEFINITION = (
    "Concentration = 1 − entropy / ln(number of patches): 0 is attention spread evenly over the frame, "
    "1 is all of it on one patch."
)
WARNING = (
    "It does not say how much a frame matters for the answer: every frame gives the language model equally many tokens."
)


@dataclass(frozen=True, eq=False)
class Watched:
    """What one clip at one rate gives before any question.

    pictures: (T, SHOWN_PX, SHOWN_PX, 3) uint8 RGB, the square of each frame that the model saw
    features: (T, N+1, C), of `LlamaVid.encode_frames`; timestamps_s: (T,) seconds from clip start; fps: asked for
    """

    name: str
    fps: float
    pictures: np.ndarray
    features: torch.Tensor
    timestamps_s: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True, eq=False)
class Look:
    """One question about a watched clip. attention: (T, M, N) float32, softmax over the N patches."""

    question: str
    tokens: VisualTokens
    attention: np.ndarray


@torch.inference_mode()
def watch(model: LlamaVid, video: Video, *, fps: float) -> Watched:
    """Decode and encode the frames of `video` at `fps`, in chunks.

    Raises VideoError for a clip that cannot be read and, before decoding, ValueError for one too long for the model.
    """
    sample = video.sample(fps)
    check_fits(model.config, n_frames=len(sample), n_prompt=MAX_NEW_TOKENS, fps=fps)
    pictures, features = [], []
    for frames, encoded in model.encode_video(video, sample.indices):
        features.append(encoded)
        pictures += [resize_and_crop(frame, SHOWN_PX) for frame in frames]
    return Watched(video.path.name, float(fps), np.stack(pictures), torch.cat(features), sample.timestamps_s)


@torch.inference_mode()
def look(model: LlamaVid, watched: Watched, question: str) -> Look:
    """The text decoder and the context attention alone. Raises ValueError where the question holds no word."""
    question = question.strip()
    if not question:
        raise ValueError("the question is empty: type one, for example “What happens in the video?”")
    prompt = open_prompt(model.tokenizer, model.config.template, question)
    check_fits(model.config, n_frames=len(watched), n_prompt=len(prompt) - 1 + MAX_NEW_TOKENS, fps=watched.fps)
    tokens = model.frame_tokens(watched.features, question)
    return Look(question, tokens, tokens.attention.float().cpu().numpy())


def reply(model: LlamaVid, asked: Look) -> str:
    """The model's words, greedily decoded, at most MAX_NEW_TOKENS tokens."""
    return generate_texts(model, asked.question, [asked.tokens], max_new_tokens=MAX_NEW_TOKENS)[0]


def of_query(attention: np.ndarray, query: int | None) -> np.ndarray:
    """attention (T, M, N) → (T, N): the map of one query from 0 to M - 1, or with None the mean over the queries."""
    if query is not None and not 0 <= query < attention.shape[1]:
        raise ValueError(f"query {query}: this model has queries 0 to {attention.shape[1] - 1}, or None for their mean")
    return attention.mean(1) if query is None else attention[:, query]


def shown_maps(attention: np.ndarray, query: int | None = None) -> np.ndarray:
    """attention (T, M, N) → (T, side, side) in multiples of even attention 1/N, raster order.

    Raises ValueError where N is no square.
    """
    maps = of_query(attention, query)
    side = round(maps.shape[1] ** 0.5)
    if side * side != maps.shape[1]:
        raise ValueError(f"{maps.shape[1]} patches a frame: expected a square grid, without class token")
    return maps.reshape(len(maps), side, side) * maps.shape[1]


def concentration(attention: np.ndarray, query: int | None = None) -> np.ndarray:
    """(T,) from 0 to 1: 1 - entropy / ln N of each frame's map (see DEFINITION)."""
    maps = of_query(attention, query).astype(float)
    maps = maps / maps.sum(1, keepdims=True)
    entropy = -np.where(maps > 0, maps * np.log(np.where(maps > 0, maps, 1)), 0).sum(1)
    return np.clip(1 - entropy / np.log(maps.shape[1]), 0, 1)


def timeline(attention: np.ndarray, timestamps_s: np.ndarray, query: int | None = None) -> pd.DataFrame:
    """A row a frame: time_s, concentration (0 to 1), and of the map's highest patch peak_x, peak_y, peak.

    peak_x, peak_y: the middle of the patch, 0 left or top to 1 right or bottom; peak: multiples of even attention.
    """
    maps = shown_maps(attention, query)
    side = maps.shape[1]
    rows, columns = np.divmod(maps.reshape(len(maps), -1).argmax(1), side)
    return pd.DataFrame(
        {
            "time_s": timestamps_s,
            "concentration": concentration(attention, query),
            "peak_x": (columns + 0.5) / side,
            "peak_y": (rows + 0.5) / side,
            "peak": maps.reshape(len(maps), -1).max(1),
        }
    )
