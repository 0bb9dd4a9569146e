"""Context attention as data: one clip encoded once, any question asked of it, and what each frame's map looks like.

`encode_clip` decodes and encodes (no question plays a part: keep what it returns), `attend` asks, `concentration` and
`timeline` turn the attention (T frames, M queries, N patches) into what a figure draws. Nothing is drawn or kept here.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from llamavid_kit.data.pixels import resize_and_crop
from llamavid_kit.data.prompt import open_prompt
from llamavid_kit.data.video import Video
from llamavid_kit.model.answering import generate_texts
from llamavid_kit.model.config import check_fits
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.model.llama_vid import LlamaVid
from llamavid_kit.viz.overlay import PICTURE_PX, attention_array, attention_grid

MAX_NEW_TOKENS = 48

DEFINITION = (
    "Concentration = 1 − entropy / ln(number of patches): 0 is attention spread evenly over the frame, "
    "1 is all of it on one patch."
)
WARNING = (
    "It does not say how much a frame matters for the answer: every frame gives the language model equally many tokens."
)


@dataclass(frozen=True, eq=False)
class EncodedClip:
    """What one clip at one rate gives before any question.

    pictures: (T, PICTURE_PX, PICTURE_PX, 3) uint8 RGB, the square of each frame that the model saw
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
class QuestionAttention:
    """One question about an encoded clip. attention: (T, M, N) float32, softmax over the N patches."""

    question: str
    tokens: VisualTokens
    attention: np.ndarray


@torch.inference_mode()
def encode_clip(model: LlamaVid, video: Video, *, fps: float) -> EncodedClip:
    """Decode and encode the frames of `video` at `fps`, in chunks.

    Raises VideoError for a clip that cannot be read and, before decoding, ValueError for one too long for the model.
    """
    sample = video.sample(fps)
    check_fits(model.config, n_frames=len(sample), n_prompt=MAX_NEW_TOKENS, fps=fps)
    pictures, features = [], []
    for frames, encoded in model.encode_video(video, sample.indices):
        features.append(encoded)
        pictures += [resize_and_crop(frame, PICTURE_PX) for frame in frames]
    return EncodedClip(video.path.name, float(fps), np.stack(pictures), torch.cat(features), sample.timestamps_s)


@torch.inference_mode()
def attend(model: LlamaVid, clip: EncodedClip, question: str) -> QuestionAttention:
    """The text decoder and the context attention alone. Raises ValueError where the question holds no word."""
    question = question.strip()
    if not question:
        raise ValueError("the question is empty: type one, for example “What happens in the video?”")
    prompt = open_prompt(model.tokenizer, model.config.template, question)
    check_fits(model.config, n_frames=len(clip), n_prompt=len(prompt) - 1 + MAX_NEW_TOKENS, fps=clip.fps)
    tokens = model.frame_tokens(clip.features, question)
    assert isinstance(tokens, VisualTokens)  # of one question
    return QuestionAttention(question, tokens, attention_array(tokens))


def reply(model: LlamaVid, attention: QuestionAttention) -> str:
    """The model's words, greedily decoded, at most MAX_NEW_TOKENS tokens."""
    return generate_texts(model, attention.question, [attention.tokens], max_new_tokens=MAX_NEW_TOKENS)[0]


def concentration(attention: np.ndarray, query: int | None = None) -> np.ndarray:
    """(T,) from 0 to 1: 1 - entropy / ln N of each frame's map (see DEFINITION); `query` as in `attention_grid`."""
    maps = attention_grid(attention, query).reshape(len(attention), -1)
    maps = maps / maps.sum(1, keepdims=True)
    entropy = -np.where(maps > 0, maps * np.log(np.where(maps > 0, maps, 1)), 0).sum(1)
    return np.clip(1 - entropy / np.log(maps.shape[1]), 0, 1)


def timeline(attention: np.ndarray, timestamps_s: np.ndarray, query: int | None = None) -> pd.DataFrame:
    """A row a frame: time_s, concentration (0 to 1), and of the map's highest patch peak_x, peak_y, peak.

    peak_x, peak_y: the middle of the patch, 0 left or top to 1 right or bottom; peak: multiples of even attention.
    """
    maps = attention_grid(attention, query)
    side, flat = maps.shape[1], maps.reshape(len(maps), -1)
    rows, columns = np.divmod(flat.argmax(1), side)
    return pd.DataFrame(
        {
            "time_s": timestamps_s,
            "concentration": concentration(attention, query),
            "peak_x": (columns + 0.5) / side,
            "peak_y": (rows + 0.5) / side,
            "peak": flat.max(1),
        }
    )
