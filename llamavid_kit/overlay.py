"""A reply's context attention, drawn over the frames that it came from. Reads the clip again; drawing is `plots`."""

from pathlib import Path

import numpy as np

from llamavid_kit.answering import Reply
from llamavid_kit.pixels import resize_and_crop
from llamavid_kit.plots import attention_overlay
from llamavid_kit.video import Video

SHOWN_PX = 224


def save_overlay(video: Video, question: str, reply: Reply, *, fps: float, model: str, out: Path | str,
                 scale: float | None = None) -> Path:  # fmt: skip
    """Write the overlay of a reply of `answering.ask` as PNG, over the square of each frame that the model saw.

    scale: upper end of the colours, for pictures of several questions (`plots.attention_overlay`'s vmax).
    """
    frames = np.stack([resize_and_crop(frame, SHOWN_PX) for frame in video.frames(video.sample(fps).indices)])
    figure = attention_overlay(
        frames, reply.tokens.attention.float().cpu().numpy(), question=question, timestamps_s=reply.timestamps_s,
        title=f"“{question}” — {model}, {video.path.name}, {fps:g} fps", reply=reply.text, vmax=scale,
    )  # fmt: skip
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    return out
