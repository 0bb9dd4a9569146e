"""What frame rates differ in for a model, beside the number of frames: found before any run, without a language model.

A model's name and rates in, an `Audit` out: the receipt of each rate, and every confound in a sentence with its remedy.
The processor gets frames that have a size and no content, and its own output is read; of a model's weights nothing is
needed. LLaMA-VID has no processor: its receipt is arithmetic.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel, ProcessorMixin, __version__

from llamavid_kit.data.sampling import EPSILON_S, check_fps
from llamavid_kit.data.video import Video
from llamavid_kit.files import write_whole
from llamavid_kit.model.ask import Receipt
from llamavid_kit.model.loading import config_of, folder_of, is_another, settings_of
from llamavid_kit.model.planner import PROMPT_TOKENS
from llamavid_kit.model.transformers_video import check_context, check_family, open_processor, opening
from llamavid_kit.model.video_inputs import group_of, read_receipt, spreads, true_times, video_inputs

QUESTION = "What happens in the video?"
OFF_S = 0.1  # seconds that a time told may be off: stamps in tenths round by less


@dataclass(frozen=True)
class RateReceipt:
    """What a model gets of the clip at one rate.

    n_prompt: tokens of the prompt with its frames, markers and stamps. off_s: the farthest that a time told is from
    the true one; None where none is told. n_kept: frames that the processor keeps if nobody turns its sampling off.
    """

    fps: float
    receipt: Receipt
    n_prompt: int
    off_s: float | None = None
    n_kept: int | None = None


@dataclass(frozen=True)
class Confound:
    """What rates differ in. fix: settings of `load` that remove it, {} where none do; slug: names its file."""

    name: str
    sentence: str
    remedy: str
    fix: dict[str, Any] = field(default_factory=dict)
    slug: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence} {self.remedy}".strip()


@dataclass(frozen=True)
class Audit:
    """The receipts of a model at several rates; `str` is what the command prints.

    size: width and height of the clip. context: tokens that fit. settings: with which the processor was asked.
    """

    model: str
    kind: str
    duration_s: float
    size: tuple[int, int]
    context: int
    rates: tuple[RateReceipt, ...]
    confounds: tuple[Confound, ...]
    settings: dict[str, Any]
    transformers: str = __version__

    def table(self) -> pd.DataFrame:
        """A row a rate: model, fps, n_given, n_arrived, height, width, pixels and tokens a frame, and so on."""
        rows = []
        for rate in self.rates:
            receipt, (height, width) = rate.receipt, rate.receipt.frame_size
            told = receipt.times_told_s
            rows.append(
                {
                    "model": self.model,
                    "fps": rate.fps,
                    "frames given": receipt.n_given,
                    "arrived": receipt.n_arrived,
                    "pixels a frame": height * width,
                    "frame": f"{width}x{height}",
                    "tokens a frame": receipt.tokens_a_frame,
                    "tokens in all": receipt.n_tokens,
                    "times told": None if told is None else len(told),
                    "distinct times": None if told is None else receipt.n_times,
                    "off by at most (s)": rate.off_s,
                    "of the context": rate.n_prompt / self.context,
                }
            )
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        table = self.table().drop(columns=["model", "pixels a frame"]).set_index("fps").T
        cells = [[_written(row, value) for value in values] for row, values in table.iterrows()]
        text = pd.DataFrame(cells, index=table.index, columns=[f"{fps:g} fps" for fps in table.columns]).to_string()
        width, height = self.size
        head = (
            f"{self.model} ({self.kind}): {self.duration_s:g} s of {width}x{height}, transformers {self.transformers}"
        )
        found = [f"- {confound}" for confound in self.confounds]
        title = "Beside the number of frames, the rates differ in:" if found else "The rates differ in nothing else."
        return "\n".join([head, text, title, *found])

    def record(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return asdict(self)

    def write_fixes(self, folder: str | Path) -> list[Path]:
        """A file of settings for each confound that one removes; `load` and `ablate --model` open it as a model.

        Raises ValueError where there is none, or where such a file holds something else.
        """
        fixes = {confound.slug: confound.fix for confound in self.confounds if confound.fix}
        if not fixes:
            raise ValueError(
                f"{self.model}: no setting of its processor removes what the rates differ in: leave --fix out"
            )
        base, _ = settings_of(self.model)
        base = str(Path(base).resolve() if Path(base).exists() else base)
        paths = []
        for slug, fix in fixes.items():
            path = Path(folder) / f"{slug}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"model": base, "settings": self.settings | fix}, indent=1) + "\n"
            if path.is_file() and path.read_text(encoding="utf-8") != text:
                raise ValueError(f"{path} holds other settings, or another model's: give another folder")
            write_whole(path, text)
            paths.append(path)
        return paths


def audit(
    model: str | Path,
    *,
    fps: Sequence[float] = (1, 6),
    duration_s: float = 60.0,
    size: tuple[int, int] = (1280, 720),
    clip: str | Path | Video | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Audit:
    """What rates differ in for a model of any family, as its own processor has it.

    Args:
        model: as of `load`; a folder with the configuration and the processor's files is enough. Of LLaMA-VID "tiny",
            a converted folder, or the name of a published shape, as `plan` takes it.
        duration_s, size: of the clip, its size as width and height.
        clip: a video file in their place: its length, size and the times of its frames.
        settings: as of `load`.

    Raises CheckpointError where the folder lacks something, and ValueError for a length or size that is not above 0,
    and where what the processor makes is no true picture of the clip.
    """
    rates = sorted({check_fps(rate) for rate in fps})
    if not rates:
        raise ValueError("no rates: give at least one, for example fps=(1, 6)")
    if clip is None:
        if not (math.isfinite(duration_s) and duration_s > 0 and len(size) == 2 and min(size) >= 1):
            raise ValueError(f"duration_s={duration_s!r}, size={size!r}: expected seconds, and two numbers above 0")
        times = [[k / rate for k in range(max(1, math.ceil((duration_s - EPSILON_S) * rate)))] for rate in rates]
    else:
        clip = clip if isinstance(clip, Video) else Video(clip)
        duration_s, size = clip.duration_s, (clip.width, clip.height)
        times = [[float(t) for t in clip.sample(rate).timestamps_s] for rate in rates]
    base, own = settings_of(model)
    settings, folder = {**own, **(settings or {})}, folder_of(base)
    made = partial(Audit, str(model), duration_s=duration_s, size=size, settings=settings)
    if not is_another(folder):
        if settings:
            raise ValueError(f"settings={settings!r} are of another model's processor, {base!r} is LLaMA-VID")
        config, receipts = config_of(base), []
        for rate, seconds in zip(rates, times, strict=True):
            n = len(seconds)
            receipt = Receipt(n, n, (config.image_size,) * 2, n * config.tokens_per_frame(), ())
            receipts.append(RateReceipt(rate, receipt, receipt.n_tokens + PROMPT_TOKENS))
        found = _confounds(receipts, config.context, ours=True)
        return made(kind="LLaMA-VID", context=config.context, rates=tuple(receipts), confounds=tuple(found))
    skeleton, processor = _open(folder)
    look = partial(_look, skeleton, processor, size=size, duration_s=duration_s, settings=settings)
    receipts = [look(rate, seconds) for rate, seconds in zip(rates, times, strict=True)]
    context = skeleton.config.get_text_config().max_position_embeddings
    found = _confounds(receipts, context, processor=processor, settings=settings)
    kind = skeleton.config.model_type
    return made(kind=kind, context=context, rates=tuple(receipts), confounds=tuple(found))


def _open(folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The folder's model without memory for its weights, and its processor."""
    check_family(folder)
    processor = open_processor(folder)
    with opening(folder), torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        model = AutoModelForImageTextToText.from_config(config, trust_remote_code=False)
    check_context(model, folder)
    return model, processor


def _look(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    fps: float,
    times_s: list[float],
    *,
    size: tuple[int, int],
    duration_s: float,
    settings: Mapping[str, Any],
) -> RateReceipt:
    """Frames on the meta device have a shape and no pixels: the processor runs, and computes none."""
    frames = torch.empty((len(times_s), 3, size[1], size[0]), dtype=torch.uint8, device="meta")
    sampled, said = (bool(settings.get(name)) for name in ("do_sample_frames", "times_in_prompt"))
    give = partial(video_inputs, processor, frames, times_s, QUESTION, duration_s=duration_s)
    inputs, metadata = give(settings=settings)
    receipt, _ = read_receipt(model, processor, inputs, metadata, times_s, sampled=sampled, said=said)
    off_s = None
    if receipt.times_told_s and not sampled:
        off = np.subtract(receipt.times_told_s, true_times(processor, inputs, times_s, said=said))
        off_s = round(float(np.abs(off).max()), 3)
    n_kept = None
    if getattr(processor.video_processor, "do_sample_frames", False) and not sampled:
        shipped, metadata = give(settings={"do_sample_frames": True})
        kept = read_receipt(model, processor, shipped, metadata, times_s, sampled=True)[0]
        n_kept = kept.n_given - kept.n_dropped
    return RateReceipt(fps, receipt, inputs["input_ids"].shape[1], off_s, n_kept)


def _confounds(
    rates: Sequence[RateReceipt],
    context: int,
    *,
    processor: ProcessorMixin | None = None,
    settings: Mapping[str, Any] | None = None,
    ours: bool = False,
) -> list[Confound]:
    """In the order: pixels, tokens, times, repeated frames, sampling, context."""
    receipts, found = [rate.receipt for rate in rates], []
    at, sampled = partial(_listed, rates), bool((settings or {}).get("do_sample_frames"))
    if len({receipt.frame_size for receipt in receipts}) > 1:
        fix: dict[str, Any] = {}
        if processor is not None and spreads(processor) and not {*(settings or ())} & {"size", "do_sample_frames"}:
            budget = processor.video_processor.size["longest_edge"]
            fix = {"pixels_a_frame": budget // max(r.n_arrived for r in receipts)}
        sizes = at(lambda r: f"{r.frame_size[1]}x{r.frame_size[0]} pixels ({r.tokens_a_frame:.4g} tokens)")
        sentence = f"pixels of a frame, and its tokens: {sizes}; a higher rate is seen less sharply."
        remedy = f"Equal pixels at every rate: settings={fix}." if fix else "Give it frames of one size at every rate."
        found.append(Confound("pixels", sentence, remedy, fix, "equal-pixels"))
    elif _spread([r.tokens_a_frame for r in receipts]) > 0.01:
        sentence = f"tokens a frame: {at(lambda r: f'{r.tokens_a_frame:.4g}')}, of equal pixels."
        found.append(Confound("tokens", sentence, "Report them beside each rate."))
    if times := _of_times(rates, ours=ours, sampled=sampled, a_group=1 if processor is None else group_of(processor)):
        found.append(times)
    if any(r.n_doubled for r in receipts):
        sentence = f"frames that come twice, to fill a group: {at(lambda r: str(r.n_doubled))}."
        found.append(Confound("doubled", sentence, "Choose lengths and rates that give whole groups."))
    if any(r.n_dropped for r in receipts):
        sentence = f"frames left out by the processor's own sampling: {at(lambda r: f'{r.n_dropped} of {r.n_given}')}."
        found.append(Confound("dropped", sentence, "Leave do_sample_frames out of the settings."))
    if any(rate.n_kept is not None and rate.n_kept < rate.receipt.n_given for rate in rates):
        kept = ", ".join(f"{rate.n_kept} of {rate.receipt.n_given} at {rate.fps:g} fps" for rate in rates)
        sentence = f"frames, in other tools: as shipped, and told the true rate, its processor keeps {kept}."
        found.append(Confound("sampling", sentence, "This kit turns that off; so must any other tool."))
    if over := [f"{rate.n_prompt} tokens at {rate.fps:g} fps" for rate in rates if rate.n_prompt > context]:
        sentence = f"clips that fit: {', '.join(over)}, and {context} fit."
        remedy = "A lower rate, smaller frames or shorter clips; `ablate` leaves such clips out for all arms."
        found.append(Confound("context", sentence, remedy))
    return found


def _of_times(rates: Sequence[RateReceipt], *, ours: bool, sampled: bool, a_group: int) -> Confound | None:
    """Times that the model is not told, cannot tell apart, or that are cut to whole steps."""
    told = [rate.receipt.times_told_s for rate in rates]
    at = partial(_listed, rates)
    fix = {} if ours or sampled else {"times_in_prompt": True}
    remedy = "Say them in the prompt: settings={'times_in_prompt': True}." if fix else ""
    if None in told:
        return Confound("times", "perhaps times: its way of telling them is unknown.", remedy, fix, "times-in-prompt")
    if not any(told):
        sentence = (
            "the time between frames, of which the model is told nothing: it sees more frames, not a finer clock."
        )
        return Confound("times", sentence, remedy, fix, "times-in-prompt")
    folded = any(rate.receipt.n_times < len(seconds or ()) for rate, seconds in zip(rates, told, strict=True))
    if folded or any((rate.off_s or 0) > OFF_S for rate in rates):
        what = "frame" if a_group == 1 else f"group of {a_group} frames"
        shares = at(lambda r: f"{r.n_times} different for {len(r.times_told_s or ())}")
        off = ", ".join("not known" if rate.off_s is None else f"{rate.off_s:g} s" for rate in rates)
        sentence = f"times told, one a {what}: {shares}; off by at most {off}."
        return Confound("times", sentence, remedy, fix, "times-in-prompt")
    return None


def _listed(rates: Sequence[RateReceipt], words: Any) -> str:
    return ", ".join(f"{words(rate.receipt)} at {rate.fps:g} fps" for rate in rates)


def _spread(values: Sequence[float]) -> float:
    return max(values) / min(values) - 1


def _written(row: str, value: Any) -> str:
    if value is None or value != value:
        return "–" if row.startswith("off") else "not known"
    if row == "of the context":
        return f"{value:.1%}"
    return value if isinstance(value, str) else f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"
