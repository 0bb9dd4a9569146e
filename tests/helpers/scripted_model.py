"""A model whose replies are written down, to run the made-up benchmarks."""

import io
from pathlib import Path

import numpy as np
from made_up_benchmarks import MAKERS, vizwiz, vqav2
from PIL import Image

from llamavid_kit.evaluation.benchmarks import benchmark
from llamavid_kit.evaluation.benchmarks.base import Item
from llamavid_kit.evaluation.benchmarks.run import evaluate
from llamavid_kit.model.ask import Reply


class Scripted:
    """Answers with the reply that is written down for a prompt and picture; remembers what it was asked."""

    def __init__(self, items: list[Item], replies: dict[str, str], *, stop_after: int | None = None):
        self.replies = {(i.prompt, pixels_of(i.picture or i.media.read_bytes())): replies[i.id] for i in items}
        self.calls, self.stop_after = [], stop_after

    def look(self, pictures, prompts, *, queries, pad):
        if self.stop_after is not None and len(self.calls) >= self.stop_after:
            raise KeyboardInterrupt
        self.calls += [(prompt, query, pad) for prompt, query in zip(prompts, queries, strict=True)]
        pixels = [pixels_of(p if isinstance(p, np.ndarray) else p.read_bytes()) for p in pictures]
        return [Reply(self.replies[key], (0.0,)) for key in zip(prompts, pixels, strict=True)]


def pixels_of(picture: bytes | np.ndarray) -> bytes:
    """A picture's pixels, however it is handed over."""
    if not isinstance(picture, np.ndarray):
        picture = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    return picture.tobytes()


def made(name: str, folder: Path, **options):
    """The made-up folder's benchmark, items and true replies."""
    truth = {"vizwiz": vizwiz, "vqav2": vqav2}.get(name, MAKERS[name])(folder, **options)
    chosen = benchmark(name)
    return chosen, chosen.load(folder), truth


def run(name: str, tmp_path: Path, replies=None, **options):
    """Evaluates scripted replies (the true ones by default)."""
    chosen, items, truth = made(name, tmp_path / "data", **options)
    model = Scripted(items, truth if replies is None else {k: replies(v) for k, v in truth.items()})
    result = evaluate(chosen, model, data=tmp_path / "data", out=tmp_path / "out", name="scripted", batch=3)
    return result, model, items
