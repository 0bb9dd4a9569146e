"""A clip's frames through a processor of transformers, and the receipt of what came out of it.

Frames, their times and a question in; the inputs of one prompt and `Receipt` out. The receipt is read from the inputs
themselves: from pixels, placeholders, time stamps and the metadata that the processor gives back. Which frames a rate
means is decided in `data.sampling`, what the model answers in `transformers_video`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, ProcessorMixin
from transformers.video_utils import VideoMetadata

from llamavid_kit.model.ask import Receipt

CLOCK = 1e6  # indices a second that frames are given with: their times, exact to a microsecond
STAMPS = (  # before a frame in the prompt, and the seconds that it may be below and above the true time
    (re.compile(r"<(\d+\.\d) seconds>"), (0.05, 0.05)),  # Qwen3-VL: the middle of two frames, to a tenth
    (re.compile(r"Frame from (\d+):(\d\d):"), (1.0, 0.0)),  # SmolVLM: minutes and whole seconds, cut off
)
SILENT = ("llava_onevision", "internvl")  # families that are told no time
PLACEHOLDERS = ("video_token_id", "video_token_index", "image_token_id", "image_token_index")
Slack = tuple[float, float]  # seconds
SLACK_S = 1e-4  # of arithmetic
OWN = ("pixels_a_frame", "times_in_prompt")  # settings that are the kit's
OURS = {"video_metadata", "return_metadata", "return_tensors"}  # what the kit itself gives
OF_WEIGHTS = {"patch_size", "temporal_patch_size", "merge_size"}
SAMPLING = {"fps", "num_frames", "min_frames", "max_frames", "initial_shift"}
SPREADS = ("Qwen3VLVideoProcessor",)  # `longest_edge` is a budget of pixels for all frames together
TIMES = "The frames of the video were taken at {} seconds. "
SAID = re.compile(re.escape(TIMES).replace(re.escape("{}"), r"([\d., ]+)"))


def video_inputs(
    processor: ProcessorMixin,
    frames: np.ndarray | torch.Tensor,
    times_s: Sequence[float],
    question: str,
    *,
    duration_s: float,
    settings: Mapping[str, Any],
) -> tuple[dict[str, Any], VideoMetadata | None]:
    """frames (T, H, W, 3) uint8 at times_s → the inputs of one prompt, and the metadata that the processor gives back.

    The metadata is None where it gives none. A model that looks at frames in groups gets the last one again until the
    first group is full: Qwen3-VL refuses a single one. settings: of the processor, such as `size`;
    `do_sample_frames=True` leaves the choice of frames to it. Two are the kit's own: `pixels_a_frame`, of a processor
    that spreads one budget over a clip, makes every frame as large at every rate; `times_in_prompt=True` says the
    second of each frame in words before the question.

    Raises ValueError where one of these two does not apply, or is no such value; and for a setting that the processor
    does not know, or that would change nothing: an arm of it would be another one under a new name.
    """
    settings = dict(settings)
    _check(settings, processor)
    said = settings.pop("times_in_prompt", False)
    if not isinstance(said, bool):
        raise ValueError(f"times_in_prompt={said!r}: expected true or false")
    if said:
        if settings.get("do_sample_frames"):
            raise ValueError("times_in_prompt with do_sample_frames: which frames are kept is not known; give one only")
        question = TIMES.format(", ".join(f"{t:.2f}" for t in times_s)) + question
    pixels, group = settings.pop("pixels_a_frame", None), group_of(processor)
    missing = max(0, group - len(frames)) if pixels is None else -len(frames) % group  # of whole groups, all alike
    if missing:
        frames = frames[[*range(len(frames)), *[len(frames) - 1] * missing]]
        times_s = [*times_s, *[times_s[-1]] * missing]
    if pixels is not None:
        settings["size"] = _equal_size(processor, pixels, len(frames), settings)
    step_s = _step(times_s) or duration_s
    if settings.get("do_sample_frames"):
        metadata = VideoMetadata(len(frames), fps=1 / step_s, duration=duration_s)
    else:
        indices = [round(t * CLOCK) for t in times_s]
        total = round(len(frames) * step_s * CLOCK)  # over the number of frames it is the step that Qwen2.5-VL is told
        metadata = VideoMetadata(total, fps=CLOCK, duration=duration_s, frames_indices=indices)
    inputs = processor.apply_chat_template(
        conversation(question, frames),
        tokenize=True,
        return_dict=True,
        add_generation_prompt=True,
        return_tensors="pt",
        processor_kwargs={
            "do_sample_frames": False,
            **settings,
            "video_metadata": [metadata],
            "return_metadata": True,
        },
    )
    returned = inputs.pop("video_metadata", None)
    return dict(inputs), returned and returned[0]


def _check(settings: Mapping[str, Any], processor: ProcessorMixin) -> None:
    video = processor.video_processor
    known = {*video.valid_kwargs.__annotations__} - OF_WEIGHTS - OURS | {*OWN}
    if unknown := sorted(settings.keys() - known):
        raise ValueError(
            f"settings {', '.join(map(repr, unknown))}: {type(video).__name__} can be given {', '.join(sorted(known))}"
        )
    if not settings.get("do_sample_frames") and (idle := sorted(settings.keys() & SAMPLING)):
        raise ValueError(
            f"settings {', '.join(map(repr, idle))} change nothing: the frames are chosen by the arm's rate; with "
            "do_sample_frames=True the processor chooses among them"
        )


def _equal_size(processor: ProcessorMixin, pixels: Any, n_frames: int, settings: Mapping[str, Any]) -> dict[str, int]:
    """The processor's `size` with which each of n_frames has at most so many pixels."""
    video = processor.video_processor
    if not spreads(processor) or settings.get("do_sample_frames") or "size" in settings:
        raise ValueError(
            f"pixels_a_frame={pixels!r} is for a processor that spreads one budget over the frames it is given, and "
            f"stands in the place of size; {type(video).__name__} with {sorted(settings)} is none: leave it out"
        )
    if not isinstance(pixels, int) or isinstance(pixels, bool) or pixels < 1:
        raise ValueError(f"pixels_a_frame={pixels!r}: expected a whole number above 0, such as 65536")
    return {"longest_edge": pixels * n_frames, "shortest_edge": video.size["shortest_edge"]}


def spreads(processor: ProcessorMixin) -> bool:
    """Whether the processor spreads one budget of pixels over all frames of a clip."""
    return type(processor.video_processor).__name__ in SPREADS


def conversation(question: str, frames: Any = None, answer: str | None = None) -> list[dict[str, Any]]:
    """Messages as chat templates take them; without frames for their text alone."""
    video = {"type": "video"} if frames is None else {"type": "video", "video": frames}
    turns = [{"role": "user", "content": [video, {"type": "text", "text": question}]}]
    if answer is not None:
        turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return turns


def group_of(processor: ProcessorMixin) -> int:
    """Frames that become one step of the model's grid: 2 for Qwen, else 1."""
    return getattr(processor.video_processor, "temporal_patch_size", None) or 1


def read_receipt(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    inputs: Mapping[str, Any],
    metadata: VideoMetadata | None,
    times_s: Sequence[float],
    *,
    sampled: bool = False,
    said: bool = False,
) -> tuple[Receipt, tuple[float, ...]]:
    """What the inputs hold of the frames at times_s, and the times of those that arrived.

    sampled: the processor was asked to choose among them. said: the times stand in words in the prompt; these are the
    receipt's then, whatever else the family is told.

    Raises ValueError for inputs of an unknown form, a frame that did not arrive although none was to be left out, and
    a time stamp that is not its frame's.
    """
    n_arrived, size = _pixels(processor, inputs)
    places = [*range(len(times_s))] if sampled else [round(t * CLOCK) for t in times_s]
    if sampled and metadata is None:
        name = type(processor).__name__
        raise ValueError(f"{name} does not say which frames it kept: leave do_sample_frames out of the settings")
    indices = places if metadata is None else [int(i) for i in metadata.frames_indices]
    n_kept = min(len({*indices} & {*places}), n_arrived)
    told, slack = _times_told(model, processor, inputs)
    if told and not sampled:
        _check_times(told, true_times(processor, inputs, times_s), slack)
    if said:
        told, slack = _times_said(processor, inputs)
        _check_times(told, np.asarray(times_s), slack)
    receipt = Receipt(
        n_given=len(times_s),
        n_arrived=n_arrived,
        frame_size=size,
        n_tokens=int(_placeholders(model, inputs).sum()),
        times_told_s=told,
        n_doubled=n_arrived - n_kept,
        n_dropped=len(times_s) - n_kept,
    )
    if sampled:
        return receipt, tuple(times_s[i] for i in dict.fromkeys(indices) if i < len(times_s))
    kept, filled = indices[: len(places)], indices[len(places) :]  # the last frame fills its group
    n_filled = -len(places) % group_of(processor)
    if kept != places or {*filled} - {places[-1]} or n_arrived != len(places) + n_filled:
        raise ValueError(
            f"{len(places)} frames were given and {n_arrived} arrived, {receipt.n_dropped} dropped: the processor "
            "chose or moved frames; leave its sampling off, or ask for it with settings={'do_sample_frames': True}"
        )
    return receipt, tuple(times_s)


def _pixels(processor: ProcessorMixin, inputs: Mapping[str, Any]) -> tuple[int, tuple[int, int]]:
    """Frames that arrived, and height and width of each in pixels."""
    if (grid := inputs.get("video_grid_thw")) is not None:  # (1, 3) in patches
        patch = processor.video_processor.patch_size
        return int(grid[:, 0].sum()) * group_of(processor), (int(grid[0, 1]) * patch, int(grid[0, 2]) * patch)
    pixels = inputs.get("pixel_values_videos", inputs.get("pixel_values"))
    if pixels is None or pixels.ndim not in (4, 5):
        shapes = ", ".join(f"{name} {tuple(getattr(value, 'shape', ()))}" for name, value in inputs.items())
        raise ValueError(f"frames cannot be found in what {type(processor).__name__} made ({shapes}): unknown family")
    return int(np.prod(pixels.shape[:-3])), (int(pixels.shape[-2]), int(pixels.shape[-1]))


def _placeholders(model: PreTrainedModel, inputs: Mapping[str, Any]) -> torch.Tensor:
    """(L,) bool: where a token of the prompt stands for a piece of a frame."""
    ids = [i for name in PLACEHOLDERS if (i := getattr(model.config, name, None)) is not None]
    return torch.isin(inputs["input_ids"][0], torch.tensor(ids, dtype=torch.long))


def _times_told(
    model: PreTrainedModel, processor: ProcessorMixin, inputs: Mapping[str, Any]
) -> tuple[tuple[float, ...] | None, Slack]:
    """Seconds that stand in the prompt or in its positions, and how far they may be below and above the true ones.

    () where the family is told no time, None where a family's way is unknown.
    """
    at = _placeholders(model, inputs)
    if "second_per_grid_ts" in inputs:  # Qwen2.5-VL: whole positions, counted from the first frame
        names = ("input_ids", "mm_token_type_ids", "video_grid_thw", "second_per_grid_ts", "attention_mask")
        positions, _ = model.model.get_rope_index(**{name: inputs[name] for name in names})
        steps = positions[0, 0, at].reshape(int(inputs["video_grid_thw"][0, 0]), -1)[:, 0]
        a_second = model.config.vision_config.tokens_per_second
        return tuple(float(p) / a_second for p in steps - steps[0]), (1 / a_second, 0.0)
    before = inputs["input_ids"][0, : int(at.nonzero()[-1])] if at.any() else []
    text = processor.tokenizer.decode(before)
    for mark, slack in STAMPS:
        if found := [m.groups() for m in mark.finditer(text)]:
            return tuple(sum(float(p) * 60**k for k, p in enumerate(reversed(parts))) for parts in found), slack
    return () if model.config.model_type in SILENT else None, (0.0, 0.0)


def _times_said(processor: ProcessorMixin, inputs: Mapping[str, Any]) -> tuple[tuple[float, ...], Slack]:
    """Seconds that stand in words in the prompt, to a hundredth. ValueError where they do not."""
    found = SAID.search(processor.tokenizer.decode(inputs["input_ids"][0]))
    if found is None:
        raise ValueError("the times are not in the prompt as they were said: leave times_in_prompt out of the settings")
    return tuple(map(float, found[1].split(", "))), (0.005, 0.005)


def true_times(
    processor: ProcessorMixin, inputs: Mapping[str, Any], times_s: Sequence[float], *, said: bool = False
) -> np.ndarray:
    """What the model should be told of frames at times_s: each one's second where it is said in words, else a group's.

    Qwen2.5-VL can be told steps of equal length alone.
    """
    if said:
        return np.asarray(times_s)
    return _true_times(times_s, group_of(processor), even="second_per_grid_ts" in inputs)


def _check_times(told: Sequence[float], true: np.ndarray, slack: Slack) -> None:
    """ValueError for stamps that are not the true times."""
    if len(told) != len(true):
        raise ValueError(f"the model was told {len(told)} times for {len(true)} steps in time: frames are missing")
    off = np.subtract(told, true)
    wrong = (off < -slack[0] - SLACK_S) | (off > slack[1] + SLACK_S)
    if wrong.any():
        k = int(wrong.argmax())
        raise ValueError(
            f"the model was told {told[k]:g} s for a frame at {true[k]:.3f} s (number {k} of {len(true)}): its "
            "processor does not pass the true times on"
        )


def _true_times(times_s: Sequence[float], group: int, *, even: bool) -> np.ndarray:
    """The middle of each group of frames; even: steps of equal length from 0 on, all that a family can be told."""
    padded = [*times_s, *[times_s[-1]] * (-len(times_s) % group)]
    middles = np.reshape(padded, (-1, group)).mean(1)
    return np.arange(len(middles)) * group * _step(times_s) if even else middles


def _step(times_s: Sequence[float]) -> float:
    """Mean seconds from one frame to the next; 0 for one frame."""
    return (times_s[-1] - times_s[0]) / (len(times_s) - 1) if len(times_s) > 1 else 0.0
