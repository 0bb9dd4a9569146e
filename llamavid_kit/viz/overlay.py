"""A reply's context attention, drawn over the frames that it came from; `save_overlay` reads the clip again."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from llamavid_kit.data.pixels import resize_and_crop
from llamavid_kit.data.video import Video
from llamavid_kit.files import whole
from llamavid_kit.model.ask import Reply
from llamavid_kit.model.context_attention import VisualTokens
from llamavid_kit.viz.look import house_figure, picture_axes

FORMATS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".svg", ".pdf")
PICTURE_PX = 224  # side of the square of a frame that is drawn


def picture_path(path: Path | str) -> Path:
    """Where a picture is written: PNG where the name says no format. ValueError for a format that is not known."""
    path = Path(path)
    path = path if path.suffix else path.with_name(f"{path.name}.png")
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: pictures are written as {', '.join(FORMATS)}, not as {path.suffix}")
    return path


def save_overlay(
    video: Video, question: str, reply: Reply, *, fps: float, model: str, out: Path | str, scale: float | None = None
) -> Path:
    """Write the overlay of a reply of `LlamaVid.ask`, over the square of each frame that the model saw → its path.

    scale: upper end of the colours, for pictures of several questions (`attention_overlay`'s vmax).
    """
    indices = np.searchsorted(video.timestamps_s, reply.timestamps_s)  # the frames that the model saw
    frames = np.stack([resize_and_crop(frame, PICTURE_PX) for frame in video.frames(indices)])
    figure = attention_overlay(
        frames,
        attention_array(reply.tokens),
        question=question,
        timestamps_s=reply.timestamps_s,
        title=f"“{question}” — {model}, {video.path.name}, {fps:g} fps",
        reply=reply.text,
        vmax=scale,
    )
    out = picture_path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole(out) as part:
        figure.savefig(part, dpi=110)
    return out


def attention_array(tokens: VisualTokens | None) -> np.ndarray:
    """The attention of frame tokens as (T, M, N) float32. Raises ValueError where it was not kept."""
    if tokens is None or tokens.attention is None:
        raise ValueError("these frame tokens come without their attention: ask the model about the clip itself")
    return tokens.attention.float().cpu().numpy()


def attention_grid(attention: np.ndarray, query: int | None = None) -> np.ndarray:
    """attention (T, M, N), softmax over N patches → (T, side, side), raster order, in multiples of even attention 1/N:
    the map of one query from 0 to M - 1, or with None the mean over the queries.

    Raises ValueError where N is no square, naming the shape, and for a query that is not there.
    """
    maps = np.asarray(attention, dtype=float)
    side = round(maps.shape[-1] ** 0.5)
    if maps.ndim != 3 or side * side != maps.shape[-1]:
        raise ValueError(
            f"attention {maps.shape}, {maps.shape[-1]} patches a frame: expected a square grid of patches, without "
            "class token, as (frames, queries, patches)"
        )
    if query is not None and not 0 <= query < maps.shape[1]:
        raise ValueError(f"query {query}: this model has queries 0 to {maps.shape[1] - 1}, or None for their mean")
    maps = maps.mean(1) if query is None else maps[:, query]
    return maps.reshape(len(maps), side, side) * side**2


def attention_top(*attentions: np.ndarray) -> float:
    """Highest value of all frames of these attentions (T, M, N), as `attention_grid` gives it: the `vmax` with which
    overlays of several questions can be compared."""
    return max(float(attention_grid(attention).max()) for attention in attentions)


@house_figure
def attention_overlay(
    frames: np.ndarray,
    attention: np.ndarray,
    *,
    question: str,
    timestamps_s: Sequence[float],
    n: int = 6,
    title: str | None = None,
    reply: str | None = None,
    vmax: float | None = None,
) -> Figure:
    """Up to n frames, evenly chosen, above the same frames under their context attention (mean over the queries).

    frames: (T, H, W, 3) uint8 RGB, or a sequence of T such arrays; attention: (T, M, N) softmax over patches;
    timestamps_s: (T,) seconds from clip start. The frames must be what the model saw, cropped as it crops: the patch
    grid is laid over the whole picture. One colour scale for all frames, in multiples of even attention 1/N.
    vmax: its upper end, above 0. Without it the scale ends at this figure's own highest value, so two figures look
    equally strong whatever their values: give those to be compared the same (`attention_top`).
    Attention says where the context token looked, not how much the frame mattered for the answer.
    """
    maps = attention_grid(attention)
    if not len(frames) == len(maps) == len(timestamps_s):
        raise ValueError(f"{len(frames)} frames, {len(maps)} maps, {len(timestamps_s)} times: expected equally many")
    if vmax is not None and not 0 < vmax < np.inf:
        raise ValueError(f"vmax={vmax}: expected a number above 0, in multiples of even attention (see attention_top)")
    indices = np.unique(np.linspace(0, len(frames) - 1, min(n, len(frames))).round().astype(int))
    highest = float(maps[indices].max())
    top = max(highest, 1.0 + 1e-6) if vmax is None else vmax
    height, width = np.asarray(frames[0]).shape[:2]
    across = max(5.0, 2.1 * len(indices))  # inches
    heading = [title or f'Where the context token looks: "{question}"', "" if reply is None else f"reply: “{reply}”"]
    lines = [line for text in heading for line in wrap(text, int(8 * across))]
    lines.append(f"{len(indices)} of {len(maps)} frames")
    size = (across, 2 * max(5.0 / len(indices), 2.1) * height / width + 1.5 + 0.25 * len(lines))
    fig, axes = plt.subplots(2, len(indices), figsize=size, squeeze=False)
    for (above, below), i in zip(axes.T, indices, strict=True):
        height, width = np.asarray(frames[i]).shape[:2]
        above.imshow(frames[i])
        picture_axes(above, f"{timestamps_s[i]:.2f} s")
        below.imshow(np.asarray(frames[i]).mean(-1), cmap="gray", vmin=0, vmax=255)
        extent, look = (-0.5, width - 0.5, height - 0.5, -0.5), {"cmap": "inferno", "alpha": 0.62}
        heat = below.imshow(maps[i], vmin=0, vmax=top, interpolation="bilinear", extent=extent, **look)
        picture_axes(below)
    place = {"location": "bottom", "shrink": 0.6, "aspect": 40, "pad": 0.02}
    bar = fig.colorbar(heat, ax=axes, extend="max" if highest > top * (1 + 1e-6) else "neither", **place)
    scale = f"one scale for all frames, 0 to {top:.3g}"
    if vmax is not None:
        scale = f"scale given: 0 to {top:.3g}; here up to {highest:.3g}"
    bar.set_label(f"context attention, mean over {np.shape(attention)[1]} queries\n(1 = even; {scale})")
    fig.suptitle("\n".join(lines), fontweight="bold")
    return fig
