"""Any video LLM that transformers opens, as a `VideoModel`: our frames and times in, replies with their receipt out.

`AutoModelForImageTextToText` and `AutoProcessor` do the model's own part; `video_inputs` hands the frames over and
reads the receipt. Qwen3-VL, Qwen2.5-VL, LLaVA-OneVision, InternVL and SmolVLM are tested by name; another family goes
through the same call, or is refused with what is missing. Code that comes with a checkpoint is never run.
"""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.utils import is_torchvision_available

from llamavid_kit.data.sampling import Rule
from llamavid_kit.data.video import Video
from llamavid_kit.files import CheckpointError, check_whole, some
from llamavid_kit.model.answering import View
from llamavid_kit.model.ask import Receipt, Reply
from llamavid_kit.model.decoding import repeatable
from llamavid_kit.model.identity import model_key
from llamavid_kit.model.original.tensors import check_finite, read_object, weight_files
from llamavid_kit.model.video_inputs import conversation, read_receipt, video_inputs

log = logging.getLogger(__name__)
REFUSALS = (
    *(OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ImportError, ArithmeticError),
    StrictDataclassError,
)
TESTED = ("qwen3_vl", "qwen2_5_vl", "llava_onevision", "internvl", "smolvlm")  # prompts run once for all choices
MOST_BYTES = 4 * 2**30  # of a clip's frames as pixels: a processor takes all of them at once, and makes floats of them
FAMILIES = frozenset(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)


@dataclass
class TransformersVideo:
    """`VideoModel` for a video LLM of transformers.

    Each clip is asked alone: several of unequal length cannot be one batch in every family, and nobody's neighbours
    then move a reply. settings: as of `video_inputs`, such as `size`, and a part of `identity`; with
    `do_sample_frames=True` it may leave frames out, which the receipt says and which otherwise is an error.
    """

    model: PreTrainedModel = field(repr=False)
    processor: ProcessorMixin = field(repr=False)
    name: str
    max_new_tokens: int = 24
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Hash of every weight and setting that answers depend on; weights are read once."""
        return f"{self._key} {sorted(self.settings.items())}" if self.settings else self._key

    @cached_property
    def _key(self) -> str:
        return model_key(self.model, self.processor)

    @property
    def context(self) -> int:
        """Tokens that fit."""
        return self.model.config.get_text_config().max_position_embeddings

    def n_tokens(self, text: str) -> int:
        """Tokens of a reply of these words, its end included."""
        return len(self.processor.tokenizer(text, add_special_tokens=False).input_ids) + 1

    def fits(self, clip: Video, question: str, choices: Sequence[str], view: View, *, max_new_tokens: int) -> None:
        """By the tokens that the processor makes of the clip; a choice may be longer than the longest reply."""
        inputs, receipt, _ = self._look(clip, question, view)
        longest = max([max_new_tokens, *(len(self._answer(question, choice)) for choice in choices)])
        self._check_room(inputs, receipt, view, longest)

    def _check_room(self, inputs: dict[str, Any], receipt: Receipt, view: View, longest: int) -> None:
        needed = inputs["input_ids"].shape[1] + longest
        if needed > self.context:
            raise ValueError(
                f"{receipt.n_arrived} frames at fps={view.fps:g} need {needed} tokens with question and answer, the "
                f"model has {self.context}: ask for a lower fps, or for smaller frames with settings={{'size': …}}"
            )

    def prepare(self, clip: Video, questions: Sequence[str], views: Sequence[View]) -> None:
        """Nothing is kept; `fits` has read every frame."""

    def generate(
        self, clips: Sequence[Video], question: str, view: View, *, max_new_tokens: int | None = None
    ) -> list[Reply]:
        length = self.max_new_tokens if max_new_tokens is None else max_new_tokens
        replies = []
        for clip in clips:
            inputs, receipt, seen_s = self._look(clip, question, view)
            self._check_room(inputs, receipt, view, length)
            replies.append(_reply(self._written(inputs, length), receipt, seen_s))
        return replies

    def choose(self, clips: Sequence[Video], question: str, choices: Sequence[str], view: View) -> list[Reply]:
        if not choices:
            raise ValueError("no choices to score: give the closed set of answers")
        answers = [self._answer(question, choice) for choice in choices]
        lengths = {choice: len(ids) for choice, ids in zip(choices, answers, strict=True)}
        replies = []
        for clip in clips:
            inputs, receipt, seen_s = self._look(clip, question, view)
            self._check_room(inputs, receipt, view, max(lengths.values()))
            likelihoods = dict(zip(choices, choice_log_likelihood(self.model, inputs, answers), strict=True))
            best = max(likelihoods, key=lambda choice: likelihoods[choice])
            replies.append(_reply(best, receipt, seen_s, log_likelihood=likelihoods, n_tokens=lengths))
        return replies

    def ask(
        self, video: Video | Path | str, question: str, *, fps: float = 1.0, frames: Rule = "time", max_new_tokens=64
    ) -> Reply:
        """One question about one clip, as `LlamaVid.ask`. Raises ValueError for a clip too long for the model."""
        clip, view = video if isinstance(video, Video) else Video(video), View(fps, frames=frames)
        inputs, receipt, seen_s = self._look(clip, question, view)
        self._check_room(inputs, receipt, view, max_new_tokens)
        return _reply(self._written(inputs, max_new_tokens), receipt, seen_s)

    def _look(self, clip: Video, question: str, view: View) -> tuple[dict[str, Any], Receipt, tuple[float, ...]]:
        """The inputs of one prompt where the model is, their receipt, and the seconds of the frames that arrived."""
        if view.content is not None:
            raise ValueError(
                f"content={view.content!r}: content tokens are LLaMA-VID's, {self.name} has none; leave content out"
            )
        if view.change is not None:
            raise ValueError(
                f"change={view.change!r}: changes are made to LLaMA-VID's frame tokens, {self.name} has none; leave "
                "change out"
            )
        marks = [getattr(self.processor, name, None) for name in ("image_token", "video_token")]
        marks += self.processor.tokenizer.all_special_tokens
        if held := [mark for mark in marks if mark and mark in question]:
            raise ValueError(f"the question holds {held[0]!r}, a mark of the model's own: say it in other words")
        sample = clip.sample(view.fps, rule=view.frames)
        if (n_bytes := len(sample) * clip.height * clip.width * 3) > MOST_BYTES:
            raise ValueError(
                f"{len(sample)} frames of {clip.width}x{clip.height} at fps={view.fps:g} are {n_bytes / 2**30:.1f} GiB "
                f"of pixels, {MOST_BYTES / 2**30:g} are taken: ask for a lower fps, or make the clip smaller"
            )
        times_s = [float(t) for t in sample.timestamps_s]
        inputs, metadata = video_inputs(
            self.processor,
            clip.frames(sample.indices),
            times_s,
            question,
            duration_s=clip.duration_s,
            settings=self.settings,
        )
        sampled, said = (bool(self.settings.get(name)) for name in ("do_sample_frames", "times_in_prompt"))
        receipt, seen_s = read_receipt(
            self.model, self.processor, inputs, metadata, times_s, sampled=sampled, said=said
        )
        return {name: self._placed(name, value) for name, value in inputs.items()}, receipt, seen_s

    def _placed(self, name: str, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(self.model.device, self.model.dtype if name.startswith("pixel_values") else None)

    @torch.inference_mode()
    def _written(self, inputs: dict[str, Any], max_new_tokens: int) -> str:
        """The greedy reply; what else a checkpoint sets for writing, such as a penalty, is not followed."""
        tokenizer = self.processor.tokenizer
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self._ends[0]
        with repeatable():
            new = self.model.generate(
                **inputs,
                do_sample=False,
                num_beams=1,
                repetition_penalty=1.0,
                no_repeat_ngram_size=0,
                temperature=None,
                top_p=None,
                top_k=None,
                max_new_tokens=max_new_tokens,
                eos_token_id=self._ends,
                pad_token_id=pad,
            )[0, inputs["input_ids"].shape[1] :]
        return tokenizer.decode(new, skip_special_tokens=True).strip()

    @property
    def _ends(self) -> list[int]:
        """Tokens that end a reply, that of the tokenizer first."""
        set_ends = self.model.generation_config.eos_token_id
        others = set_ends if isinstance(set_ends, list) else [set_ends]
        ends = [end for end in dict.fromkeys([self.processor.tokenizer.eos_token_id, *others]) if end is not None]
        return [end for end in ends if end in others] or ends

    def _answer(self, question: str, choice: str) -> list[int]:
        """Tokens of `choice` as the whole answer, its end included.

        As the chat template writes an answer behind the open prompt; where it changes the prompt then, the choice as
        it is.
        """
        tokenizer, end = self.processor.tokenizer, self._ends[0]
        opened, whole = (
            self.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=opens)
            for turns, opens in ((conversation(question), True), (conversation(question, answer=choice), False))
        )
        body, ended, _ = whole.removeprefix(opened).partition(tokenizer.decode([end]))
        text = body if whole.startswith(opened) and ended else choice
        return [*tokenizer(text, add_special_tokens=False).input_ids, end]


@torch.inference_mode()
def choice_log_likelihood(
    model: PreTrainedModel, inputs: dict[str, Any], answers: Sequence[Sequence[int]]
) -> list[float]:
    """Natural log of P(answer | prompt) for each, summed over its tokens.

    The prompt runs once where the family's cache was tested, else with every answer.
    """
    once = model(**inputs, use_cache=True, logits_to_keep=1) if model.config.model_type in TESTED else None
    sums = []
    for answer in answers:
        ids = torch.tensor([[*answer]], device=model.device)
        if once is None:
            logits = model(**_continued(inputs, ids[:, :-1]), use_cache=False, logits_to_keep=len(answer)).logits
        else:
            rest = [once.logits]
            if len(answer) > 1:
                cache = copy.deepcopy(once.past_key_values)
                rest.append(model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits)
            logits = torch.cat(rest, 1)  # (1, S, V), of what comes before each token
        picked = logits.float().log_softmax(-1).gather(2, ids[..., None])
        sums.append(float(picked.double().sum()))
    return sums


def _continued(inputs: dict[str, Any], ids: Tensor) -> dict[str, Any]:
    """The inputs with text `ids` (1, S) behind the prompt."""
    shape = inputs["input_ids"].shape
    more = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {
        name: torch.cat([value, more.get(name, torch.zeros_like(ids)).to(value.dtype)], 1)
        if isinstance(value, Tensor) and value.shape == shape
        else value
        for name, value in inputs.items()
    }


def open_video_model(
    folder: Path, *, name: str, settings: Mapping[str, Any], device: str | torch.device | None = None, **kwargs
) -> TransformersVideo:
    """The model in a folder with safetensors, in eval mode. **kwargs: as of `from_pretrained`.

    Raises CheckpointError where weights, a processor of videos or a chat template are missing, and ValueError where
    torchvision is.
    """
    check_family(folder)
    for file in weight_files(folder)[0]:
        check_whole(folder / file)
        if not file.endswith(".safetensors"):
            raise CheckpointError(f"{folder / file}: expected safetensors; save the model again with transformers")
    processor = open_processor(folder)
    if kwargs.get("quantization_config") is not None and device is not None:
        kwargs["device_map"] = device
    options = {"trust_remote_code": False, "use_safetensors": True, "local_files_only": True}
    with opening(folder):
        model, told = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True, **options, **kwargs)
    if unfilled := sorted([*map(str, told["missing_keys"]), *map(str, told["mismatched_keys"])]):
        raise CheckpointError(f"{folder}: missing or misshapen {some(unfilled)}: copy the folder again")
    if unused := sorted(told["unexpected_keys"]):
        log.warning("%s: not used: %s", folder, some(unused))
    check_context(model, folder)
    if device is not None and kwargs.get("device_map") is None:
        model = model.to(device)
    check_finite(model.state_dict(), folder)
    return TransformersVideo(model.eval(), processor, name, settings=settings)


@contextmanager
def opening(folder: Path, what: str = "the model") -> Iterator[None]:
    """What transformers raises over a stranger's files, as CheckpointError; memory that does not do stays as it is."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except REFUSALS as error:
        said = " ".join(str(error).split())
        raise CheckpointError(f"{folder}: {what} cannot be opened by transformers: {said}") from error


def check_family(folder: Path) -> None:
    """CheckpointError for a model that transformers does not know; ValueError where torchvision is missing."""
    kind = read_object(folder / "config.json").get("model_type")
    if kind not in FAMILIES:
        raise CheckpointError(f"{folder}: model_type {kind!r} is not a model of images and text in transformers")
    if not is_torchvision_available():
        raise ValueError(f"{folder}: processors of videos need torchvision: pip install 'llamavid-kit[models]'")


def check_context(model: PreTrainedModel, folder: Path) -> None:
    """CheckpointError for a model that does not say how many tokens fit."""
    if getattr(model.config.get_text_config(), "max_position_embeddings", None) is None:
        raise CheckpointError(f"{folder}: its text_config has no max_position_embeddings: how much fits is not known")


def open_processor(folder: Path) -> ProcessorMixin:
    """The folder's processor. Raises CheckpointError where it cannot show videos."""
    with opening(folder, "its processor"):
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    missing = {
        "a processor of videos": getattr(processor, "video_processor", None),
        "a tokenizer": getattr(processor, "tokenizer", None),
        "a chat template": getattr(processor, "chat_template", None),
    }
    if lacking := [what for what, part in missing.items() if part is None]:
        raise CheckpointError(f"{folder} ({type(processor).__name__}) lacks {' and '.join(lacking)}: no video LLM")
    return processor


def _reply(text: str, receipt: Receipt, times_s: Sequence[float], **more: Any) -> Reply:
    return Reply(text, tuple(round(t, 4) for t in times_s), n_visual=receipt.n_tokens, receipt=receipt, **more)
