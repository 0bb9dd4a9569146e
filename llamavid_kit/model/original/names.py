"""Tensor names of the original and ours, both ways.

Knows the names of a checkpoint (`KEY_MAP`, `BERT_KEY_MAP`) and of the EVA-ViT file (`EVA_MAP`), and their inverse
(`shard_names`). Opens no file.
"""

import re
from collections.abc import Iterable, Iterator

TOWER = "model.vision_tower.vision_tower."
Table = tuple[tuple[str, str | None, str], ...]  # (pattern of the original name, ours or None, why None)

# Original name → ours: the first pattern that matches the whole name decides. None: not used, with the reason.
KEY_MAP: Table = (
    (r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq", None, "buffer, rebuilt from the configuration"),
    (r"model\.vlm_att_encoder\.bert\.embeddings\.position_ids", None, "buffer, rebuilt from the configuration"),
    (r"model\.(embed_tokens|layers|norm)\.(.+)", r"language_model.model.\1.\2", ""),
    (r"lm_head\.weight", r"language_model.lm_head.weight", ""),
    (r"model\.mm_projector\.(.+)", r"content_projector.\1", ""),
    (r"model\.vlm_att_query", r"text_decoder.query_tokens", ""),
    (r"model\.vlm_att_ln\.(.+)", r"vision_norm.\1", ""),
    (r"model\.vlm_att_bert_proj\.(.+)", r"feature_projector.\1", ""),
    (r"model\.vlm_att_projector\.(.+)", r"context_attention.text_projector.\1", ""),
    (r"model\.vlm_att_key_projector\.(.+)", r"context_attention.key_projector.\1", ""),
    (r"model\.vlm_att_val_projector\.(.+)", r"context_attention.value_projector.\1", ""),
    (r"model\.vlm_att_encoder\.bert\.embeddings\.LayerNorm\.(.+)", r"text_decoder.qformer.embeddings.layernorm.\1", ""),
    (
        r"model\.vlm_att_encoder\.bert\.(.+?)\.(attention|crossattention)\.self\.(.+)",
        r"text_decoder.qformer.\1.\2.attention.\3",
        "",
    ),
    (r"model\.vlm_att_encoder\.bert\.(.+)", r"text_decoder.qformer.\1", ""),
)
# The same for checkpoints whose text decoder is plain BERT: its names are transformers' own.
BERT_KEY_MAP: Table = (*KEY_MAP[:-3], (r"model\.vlm_att_encoder\.bert\.(.+)", r"text_decoder.bert.\1", ""))
EVA_MAP: Table = (
    (r"(norm|head)\..+", None, "the tower has no final norm and no classifier"),
    (r"cls_token", r"vision_tower.embeddings.class_embedding", ""),
    (r"pos_embed", r"vision_tower.embeddings.position_embedding", ""),
    (r"patch_embed\.proj\.(.+)", r"vision_tower.embeddings.patch_embedding.\1", ""),
    (r"blocks\.(\d+)\.norm([12])\.(.+)", r"vision_tower.encoder.layers.\1.layer_norm\2.\3", ""),
    (r"blocks\.(\d+)\.attn\.qkv\.weight", r"vision_tower.encoder.layers.\1.self_attn.qkv.weight", ""),
    (r"blocks\.(\d+)\.attn\.([qv])_bias", r"vision_tower.encoder.layers.\1.self_attn.\2_bias", ""),
    (r"blocks\.(\d+)\.attn\.proj\.(.+)", r"vision_tower.encoder.layers.\1.self_attn.projection.\2", ""),
    (r"blocks\.(\d+)\.mlp\.(.+)", r"vision_tower.encoder.layers.\1.mlp.\2", ""),
)


def rename(name: str, table: Table = KEY_MAP) -> tuple[str | None, str] | None:
    """Original tensor name → (our name or None, reason), or None where the table knows no such name."""
    for pattern, ours, reason in table:
        if match := re.fullmatch(pattern, name):
            return (match.expand(ours) if ours else None), reason
    return None


# Ours → the original's, for a checkpoint with its copy of the tower. The first pattern that matches decides.
INVERSE_MAP: tuple[tuple[str, str], ...] = (
    (r"language_model\.model\.(.+)", r"model.\1"),
    (r"language_model\.(lm_head\..+)", r"\1"),
    (r"content_projector\.(.+)", r"model.mm_projector.\1"),
    (r"vision_norm\.(.+)", r"model.vlm_att_ln.\1"),
    (r"feature_projector\.(.+)", r"model.vlm_att_bert_proj.\1"),
    (r"context_attention\.text_projector\.(.+)", r"model.vlm_att_projector.\1"),
    (r"context_attention\.key_projector\.(.+)", r"model.vlm_att_key_projector.\1"),
    (r"context_attention\.value_projector\.(.+)", r"model.vlm_att_val_projector.\1"),
    (r"text_decoder\.query_tokens", r"model.vlm_att_query"),
    (r"text_decoder\.bert\.(.+)", r"model.vlm_att_encoder.bert.\1"),
    (r"text_decoder\.qformer\.embeddings\.layernorm\.(.+)", r"model.vlm_att_encoder.bert.embeddings.LayerNorm.\1"),
    (
        r"text_decoder\.qformer\.(.+?)\.(attention|crossattention)\.attention\.(.+)",
        r"model.vlm_att_encoder.bert.\1.\2.self.\3",
    ),
    (r"text_decoder\.qformer\.(.+)", r"model.vlm_att_encoder.bert.\1"),
    (r"vision_tower\.embeddings\.class_embedding", TOWER + r"cls_token"),
    (r"vision_tower\.embeddings\.position_embedding", TOWER + r"pos_embed"),
    (r"vision_tower\.embeddings\.patch_embedding\.(.+)", TOWER + r"patch_embed.proj.\1"),
    (r"vision_tower\.encoder\.layers\.(\d+)\.layer_norm([12])\.(.+)", TOWER + r"blocks.\1.norm\2.\3"),
    (r"vision_tower\.encoder\.layers\.(\d+)\.self_attn\.qkv\.weight", TOWER + r"blocks.\1.attn.qkv.weight"),
    (r"vision_tower\.encoder\.layers\.(\d+)\.self_attn\.projection\.(.+)", TOWER + r"blocks.\1.attn.proj.\2"),
    (r"vision_tower\.encoder\.layers\.(\d+)\.mlp\.(.+)", TOWER + r"blocks.\1.mlp.\2"),
)
QKV_BIAS = re.compile(r"vision_tower\.encoder\.layers\.(\d+)\.self_attn\.qkv\.bias")


def shard_names(names: Iterable[str]) -> Iterator[tuple[str, tuple[str, int | None]]]:
    """Our names → (original name, (our name, part)); part is the third of a qkv bias, None for whole tensors.

    Raises KeyError for a name that no model of ours has.
    """
    for ours in names:
        if match := QKV_BIAS.fullmatch(ours):
            for bias, part in (("q_bias", 0), ("v_bias", 2)):  # keys have no bias: the middle third is 0
                yield f"{TOWER}blocks.{match[1]}.attn.{bias}", (ours, part)
            continue
        for pattern, original in INVERSE_MAP:
            if match := re.fullmatch(pattern, ours):
                yield match.expand(original), (ours, None)
                break
        else:
            raise KeyError(ours)
