"""What the original's command-line options train, in the terms of `training.stages`."""

from collections.abc import Mapping

from llamavid_kit.training.stages import PARTS

# What the original's options (`llamavid/train/train.py`) freeze; the tower is frozen always. "freeze" and "freeze_all"
# are endings of its bert_type, which also names the text decoder; the others are options of their own.
ORIGINAL_FREEZES: dict[str, tuple[str, ...]] = {
    "": ("vision_tower",),
    "freeze": ("text_decoder", "vision_norm", "query_tokens"),
    "freeze_all": (
        "text_decoder",
        "vision_norm",
        "query_tokens",
        "text_projector",
        "key_projector",
        "value_projector",
    ),
    "tune_mm_mlp_adapter": ("language_model",),
    "freeze_mm_mlp_adapter": ("content_projector",),
    "lora_enable": ("language_model",),
}


def trained_by(options: Mapping[str, str]) -> tuple[str, ...]:
    """The parts that train under the original's command-line options, `{"bert_type": …, "lora_enable": "True", …}`.

    With "lora_enable" the adapters train in the language model's place.
    """
    kind = options.get("bert_type", "")
    ending = next((e for e in ("freeze_all", "freeze") if kind.endswith(f"_{e}")), "")
    on = [name for name in ORIGINAL_FREEZES if options.get(name) == "True"]
    frozen = {part for name in ("", ending, *on) for part in ORIGINAL_FREEZES[name]}
    return tuple(part for part in PARTS if part not in frozen)
