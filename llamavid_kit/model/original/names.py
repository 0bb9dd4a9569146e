"""Tensor names of the original and ours, both ways.

Knows the names of a checkpoint (`KEY_MAP`, `BERT_KEY_MAP`) and of the EVA-ViT file (`EVA_MAP`); `rename` reads the
tables forwards, `shard_names` backwards. Opens no file.
"""

import re
from collections.abc import Iterable, Iterator

TOWER = "model.vision_tower.vision_tower."
# (original name, ours or None, why None). "*" stands for any text, "#" for a number, in the same order on both sides.
Table = tuple[tuple[str, str | None, str], ...]

# The first row that fits decides. None: not used, with the reason.
KEY_MAP: Table = (
    ("model.layers.#.self_attn.rotary_emb.inv_freq", None, "buffer, rebuilt from the configuration"),
    ("model.vlm_att_encoder.bert.embeddings.position_ids", None, "buffer, rebuilt from the configuration"),
    ("model.embed_tokens.*", "language_model.model.embed_tokens.*", ""),
    ("model.layers.*", "language_model.model.layers.*", ""),
    ("model.norm.*", "language_model.model.norm.*", ""),
    ("lm_head.weight", "language_model.lm_head.weight", ""),
    ("model.mm_projector.*", "content_projector.*", ""),
    ("model.vlm_att_query", "text_decoder.query_tokens", ""),
    ("model.vlm_att_ln.*", "vision_norm.*", ""),
    ("model.vlm_att_bert_proj.*", "feature_projector.*", ""),
    ("model.vlm_att_projector.*", "context_attention.text_projector.*", ""),
    ("model.vlm_att_key_projector.*", "context_attention.key_projector.*", ""),
    ("model.vlm_att_val_projector.*", "context_attention.value_projector.*", ""),
    ("model.vlm_att_encoder.bert.embeddings.LayerNorm.*", "text_decoder.qformer.embeddings.layernorm.*", ""),
    ("model.vlm_att_encoder.bert.*.attention.self.*", "text_decoder.qformer.*.attention.attention.*", ""),
    ("model.vlm_att_encoder.bert.*.crossattention.self.*", "text_decoder.qformer.*.crossattention.attention.*", ""),
    ("model.vlm_att_encoder.bert.*", "text_decoder.qformer.*", ""),
)
# The same for checkpoints whose text decoder is plain BERT: its names are transformers' own.
BERT_KEY_MAP: Table = (*KEY_MAP[:-4], ("model.vlm_att_encoder.bert.*", "text_decoder.bert.*", ""))
EVA_MAP: Table = (
    ("norm.*", None, "the tower has no final norm and no classifier"),
    ("head.*", None, "the tower has no final norm and no classifier"),
    ("cls_token", "vision_tower.embeddings.class_embedding", ""),
    ("pos_embed", "vision_tower.embeddings.position_embedding", ""),
    ("patch_embed.proj.*", "vision_tower.embeddings.patch_embedding.*", ""),
    ("blocks.#.norm1.*", "vision_tower.encoder.layers.#.layer_norm1.*", ""),
    ("blocks.#.norm2.*", "vision_tower.encoder.layers.#.layer_norm2.*", ""),
    ("blocks.#.attn.qkv.weight", "vision_tower.encoder.layers.#.self_attn.qkv.weight", ""),
    ("blocks.#.attn.q_bias", "vision_tower.encoder.layers.#.self_attn.q_bias", ""),
    ("blocks.#.attn.v_bias", "vision_tower.encoder.layers.#.self_attn.v_bias", ""),
    ("blocks.#.attn.proj.*", "vision_tower.encoder.layers.#.self_attn.projection.*", ""),
    ("blocks.#.mlp.*", "vision_tower.encoder.layers.#.mlp.*", ""),
)
# Ours → the original's, for a checkpoint with its copy of the tower.
INVERSE_MAP: Table = tuple(
    (ours, prefix + theirs, "")
    for prefix, table in (("", KEY_MAP), ("", BERT_KEY_MAP[-1:]), (TOWER, EVA_MAP))
    for theirs, ours, _ in table
    if ours is not None
)
QKV_BIAS = re.compile(r"vision_tower\.encoder\.layers\.(\d+)\.self_attn\.qkv\.bias")


def rename(name: str, table: Table = KEY_MAP) -> tuple[str | None, str] | None:
    """Original tensor name → (our name or None, reason), or None where the table knows no such name."""
    for theirs, ours, reason in table:
        if match := re.fullmatch(re.escape(theirs).replace(r"\*", "(.+)").replace(r"\#", r"(\d+)"), name):
            return ours and ours.replace("#", "{}").replace("*", "{}").format(*match.groups()), reason
    return None


def shard_names(names: Iterable[str]) -> Iterator[tuple[str, tuple[str, int | None]]]:
    """Our names → (original name, (our name, part)); part is the third of a qkv bias, None for whole tensors.

    Raises KeyError for a name that no model of ours has.
    """
    for ours in names:
        if match := QKV_BIAS.fullmatch(ours):
            for bias, part in (("q_bias", 0), ("v_bias", 2)):  # keys have no bias: the middle third is 0
                yield f"{TOWER}blocks.{match[1]}.attn.{bias}", (ours, part)
            continue
        original, _ = rename(ours, INVERSE_MAP) or (None, "")
        if original is None:
            raise KeyError(ours)
        yield original, (ours, None)
