"""Five families of video LLMs as tiny random models with a byte tokenizer, built offline and saved as folders.

What they answer is noise. What their processors make of a clip is real, and with `published` at the sizes of the
published checkpoints: enough to audit a family without a download.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast, ProcessorMixin

Built = tuple[ProcessorMixin, PreTrainedModel]
LANGUAGE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
QWEN_MARKS = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]


def save_family(family: str, folder: Path, *, published: bool = False) -> Path:
    """A folder that `AutoModelForImageTextToText` and `AutoProcessor` open; random weights, always the same.

    published: frames of the published checkpoints' size, and no weights: a folder for `lvk.audit` alone.
    """
    torch.manual_seed(0)
    with torch.device("meta" if published else "cpu"):
        processor, model = FAMILIES[family](published)
    processor.save_pretrained(folder)
    if published:
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(folder)
    else:
        model.save_pretrained(folder)
    return folder


def _tokenizer(named: dict[str, str], others: list[str], end: str = "<eos>") -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(dict.fromkeys(["<pad>", end, *named.values(), *others])))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token=end, extra_special_tokens=dict(named)
    )


def _template(video: str) -> str:
    """A turn of each side, "U:" and " A:", an answer closed by its end."""
    content = (
        "{% for c in m['content'] %}{% if c['type'] == 'video' %}" + video + "{% else %}{{ c['text'] }}{% endif %}"
    )
    turn = "{% if m['role'] == 'user' %}U:{% else %} A:{% endif %}" + content + "{% endfor %}"
    closed = "{% if m['role'] != 'user' %}<eos>{% endif %}"
    return "{% for m in messages %}" + turn + closed + "{% endfor %}{% if add_generation_prompt %} A:{% endif %}"


def _qwen_parts(k: PreTrainedTokenizerFast, **rope) -> dict:
    text = LANGUAGE | {"vocab_size": len(k), "num_key_value_heads": 2, "rope_parameters": rope}
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 32}
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = dict(zip(names, k.convert_tokens_to_ids(QWEN_MARKS), strict=True))
    return {"text_config": text, "vision_config": vision, **ids}


def qwen3_vl(published: bool) -> Built:
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    k = _tokenizer({}, QWEN_MARKS)
    budget = 25_165_824 if published else 48 * 64 * 64  # pixels of all frames
    video = Qwen3VLVideoProcessor(size={"longest_edge": budget, "shortest_edge": 4096})
    turn = _template("<|vision_start|><|video_pad|><|vision_end|>")
    processor = Qwen3VLProcessor(Qwen2VLImageProcessor(patch_size=16), k, video, chat_template=turn)
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    parts = _qwen_parts(k, **rope)
    parts["text_config"]["head_dim"] = 8
    parts["vision_config"] |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 256}
    return processor, Qwen3VLForConditionalGeneration(Qwen3VLConfig(**parts))


def qwen2_5_vl(published: bool) -> Built:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    k = _tokenizer({}, QWEN_MARKS)
    edges = {"shortest_edge": 128 * 28**2, "longest_edge": 768 * 28**2}  # pixels of one frame
    video = Qwen2VLVideoProcessor(size=edges if published else {"shortest_edge": 56 * 56, "longest_edge": 56 * 84})
    turn = _template("<|vision_start|><|video_pad|><|vision_end|>")
    processor = Qwen2_5_VLProcessor(Qwen2VLImageProcessor(), k, video, chat_template=turn)
    parts = _qwen_parts(k, rope_type="default", rope_theta=1e4, mrope_section=[2, 1, 1])
    parts["text_config"] |= {"bos_token_id": None, "eos_token_id": k.eos_token_id}
    parts["vision_config"] |= {"fullatt_block_indexes": [1], "tokens_per_second": 2}  # as in published configurations
    return processor, Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**parts))


def _text(k: PreTrainedTokenizerFast, kind: str) -> dict:
    ends = {"bos_token_id": None, "eos_token_id": k.eos_token_id, "pad_token_id": k.pad_token_id}
    return LANGUAGE | ends | {"model_type": kind, "vocab_size": len(k), "num_key_value_heads": 2}


def llava_onevision(published: bool) -> Built:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    k, side = _tokenizer({}, ["<image>", "<video>"]), 378 if published else 56
    size = {"height": 384, "width": 384} if published else {"height": side, "width": side}
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=size),
        k,
        LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=(side // 14) ** 2,
        vision_feature_select_strategy="full",
        chat_template=_template("<video>"),
    )
    sight = {
        "model_type": "siglip_vision_model",
        "image_size": size["height"],
        "patch_size": 14,
        "vision_use_head": False,
    }
    config = LlavaOnevisionConfig(
        text_config=_text(k, "qwen2"),
        vision_config=LANGUAGE | sight,
        image_token_index=k.convert_tokens_to_ids("<image>"),
        video_token_index=k.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[size["height"], size["width"]]],
    )
    return processor, LlavaOnevisionForConditionalGeneration(config)


def internvl(published: bool) -> Built:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    marks = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    k, side = _tokenizer(marks | {"video_token": "<video>"}, []), 448 if published else 56
    size, n = {"height": side, "width": side}, (side // 28) ** 2
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=size),
        k,
        InternVLVideoProcessor(size=size),
        image_seq_length=n,
        chat_template=_template("<video>"),
    )
    config = InternVLConfig(
        text_config=_text(k, "qwen2"),
        vision_config=LANGUAGE | {"image_size": [side, side], "patch_size": [14, 14]},
        image_token_id=k.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=n,
    )
    return processor, InternVLForConditionalGeneration(config)


def smolvlm(published: bool) -> Built:
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    marks = ["<fake_token_around_image>", "<image>", "<global-img>", "<video>"]
    side, patch, scale = (512, 16, 4) if published else (56, 14, 2)
    k, edge = _tokenizer({}, marks, end="<end_of_utterance>"), {"longest_edge": side}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(),
        k,
        SmolVLMVideoProcessor(size=edge, max_image_size=edge),
        image_seq_len=(side // patch // scale) ** 2,
        chat_template=_template("<video>"),
    )
    config = SmolVLMConfig(
        text_config=_text(k, "llama"),
        vision_config=LANGUAGE | {"image_size": side, "patch_size": patch},
        image_token_id=k.convert_tokens_to_ids("<image>"),
        scale_factor=scale,
    )
    return processor, SmolVLMForConditionalGeneration(config)


FAMILIES: dict[str, Callable[[bool], Built]] = {
    one.__name__: one for one in (qwen3_vl, qwen2_5_vl, llava_onevision, internvl, smolvlm)
}
