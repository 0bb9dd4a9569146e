"""Guards tensor names: each lands where it says, and comes back."""

import json

import pytest
import torch
from case01 import CASE, HEADS, contents, whole

from llamavid_kit.model.original.names import BERT_KEY_MAP, EVA_MAP, KEY_MAP, TOWER, rename, shard_names
from llamavid_kit.model.original.open import from_original


def test_names_land_where_they_say():
    """Spot checks by hand, one of each kind, value by value."""
    model, _ = from_original(CASE / "checkpoint", vision_heads=HEADS)
    state, (tensors, eva) = model.state_dict(), whole()
    bert, qformer = "model.vlm_att_encoder.bert.", "text_decoder.qformer."
    for ours, theirs in {
        "language_model.model.embed_tokens.weight": "model.embed_tokens.weight",
        "language_model.model.layers.1.mlp.gate_proj.weight": "model.layers.1.mlp.gate_proj.weight",
        "language_model.lm_head.weight": "lm_head.weight",
        "content_projector.0.weight": "model.mm_projector.0.weight",
        "content_projector.2.bias": "model.mm_projector.2.bias",
        "text_decoder.query_tokens": "model.vlm_att_query",
        "vision_norm.bias": "model.vlm_att_ln.bias",
        "context_attention.text_projector.weight": "model.vlm_att_projector.weight",
        "context_attention.key_projector.weight": "model.vlm_att_key_projector.weight",
        "context_attention.value_projector.weight": "model.vlm_att_val_projector.weight",
        qformer + "embeddings.layernorm.weight": bert + "embeddings.LayerNorm.weight",
        qformer + "encoder.layer.1.attention.attention.query.weight": bert
        + "encoder.layer.1.attention.self.query.weight",
        qformer + "encoder.layer.2.crossattention.attention.key.weight": bert
        + "encoder.layer.2.crossattention.self.key.weight",
        qformer + "encoder.layer.0.attention.output.LayerNorm.bias": bert
        + "encoder.layer.0.attention.output.LayerNorm.bias",
    }.items():
        assert torch.equal(state[ours], tensors[theirs]), ours
    attention = "vision_tower.encoder.layers.1.self_attn.qkv.bias"
    q, v = eva["blocks.1.attn.q_bias"], eva["blocks.1.attn.v_bias"]
    assert torch.equal(state[attention], torch.cat([q, torch.zeros_like(q), v]))
    assert torch.equal(state["vision_tower.encoder.layers.0.mlp.fc1.weight"], eva["blocks.0.mlp.fc1.weight"])


def test_names_go_both_ways(reference):
    """Every tensor of every case's checkpoint, and of the EVA file."""
    n = 0
    for folder in sorted(reference.glob("case*/checkpoint")):
        plain_bert = json.loads((folder / "config.json").read_text())["bert_type"].startswith("raw")
        for name in contents(folder):
            if name.startswith(TOWER):
                eva = name.removeprefix(TOWER)
                if eva.endswith(("q_bias", "v_bias")):
                    continue
                ours, _ = rename(eva, EVA_MAP)
            else:
                ours, _ = rename(name, BERT_KEY_MAP if plain_bert else KEY_MAP)
            if ours is not None:
                assert [original for original, _ in shard_names([ours])] == [name]
                n += 1
    assert n > 1000
    with pytest.raises(KeyError):
        list(shard_names(["text_encoder.weight"]))
