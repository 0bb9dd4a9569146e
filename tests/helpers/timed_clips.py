"""Small clips whose frames appear at chosen milliseconds and can be told apart."""

from fractions import Fraction

import av
import numpy as np

READERS = ["decord", "pyav"]

CFR_MS = [round(i * 1000 / 30) for i in range(90)]  # 3 s at 30 frames a second


def write_clip(path, times_ms, *, height=64, width=96, codec="libx264", options=None):
    """A small clip whose frame i appears at times_ms[i]; stripes and a moving block tell the frames apart."""
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=30, options={"g": "24", **(options or {})})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i, time_ms in enumerate(times_ms):
            picture = np.full((height, width, 3), (i * 37) % 256, dtype=np.uint8)
            picture[8:24, (3 * i) % (width - 16) :][:, :16] = (255, i % 256, 0)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(time_ms), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
