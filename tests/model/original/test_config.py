"""Guards sizes: what the original's `config.json` says, what tensors say, and where the two disagree."""

import json

import pytest
import torch
from case01 import CASE, HEADS, edit, names, set_config

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.original.config import write_config
from llamavid_kit.model.original.names import TOWER
from llamavid_kit.model.original.open import from_original


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_query": 9}, "num_query=9, the tensor holds 8"),
        ({"bert_type": "raw_bert_layer:2"}, "missing tensors: text_decoder.bert.*token_type"),
        ({"bert_type": "clip"}, "bert_type='clip'.*expected"),
        ({"bert_type": ""}, "bert_type=''"),
        ({"bert_type": "qformer_pretrain:7"}, "bert_type='qformer_pretrain:7': the tensors have 4 layers"),
        ({"rms_norm_eps": 0.0}, "rms_norm_eps=0.0: expected a number above 0"),
        ({"pad_token_id": 400}, "pad_token_id=400: expected a number above -2, at most 399"),
        ({"vocab_size": 401}, r"misshapen language_model.*embed_tokens"),
        ({"num_hidden_layers": 1}, r"unexpected language_model.model.layers.1"),
        ({"num_hidden_layers": 3}, r"missing language_model.model.layers.2"),
        ({"hidden_size": 32}, "misshapen"),
        ({"compress_type": "grid:1"}, "grid:1"),
        ({"mm_vision_tower": "./nowhere.pth"}, "nowhere.pth not found .*--vision-weights"),
        ({"mm_vision_tower": None}, "config.json|mm_vision_tower=None: expected .*--vision-weights"),
        ({"mm_hidden_size": 1024}, "mm_hidden_size=1024, the tower has 32"),
        ({"mm_projector_type": "linear"}, r"config.json: mm_projector_type='linear'.*'mlp2x_gelu' alone"),
        ({"mm_vision_select_feature": "cls_patch"}, "mm_vision_select_feature='cls_patch'"),
        ({"image_aspect_ratio": "anyres"}, "image_aspect_ratio='anyres'"),
        ({"use_mm_proj": False}, "use_mm_proj=False"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings=True"),
        ({"hidden_act": "swish7"}, "hidden_act='swish7'"),
        ({"attention_bias": True}, r"missing language_model.*q_proj\.bias"),
        ({"mlp_bias": True}, r"missing language_model.*gate_proj\.bias"),
        ({"head_dim": 8}, "misshapen .*q_proj"),
        ({"sliding_window": 256}, "config.json: {'sliding_window': 256} is not known"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"logit_scale": 0.5, "num_local_experts": 8}, "'logit_scale': 0.5, 'num_local_experts': 8"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_scaling={'type': 'dynamic'"),
        ({"rope_scaling": {"type": "linear"}}, "a factor with linear alone"),
        ({"rope_scaling": {"factor": 2.0}}, "a factor with linear alone"),
        ({"rope_scaling": {"type": "linear", "rope_type": "default", "factor": 2.0}}, "rope_scaling="),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "low_freq_factor": 1.0}}, "rope_scaling="),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "rope_parameters="),
        ({"model_type": "mistral"}, "model_type='mistral': expected 'llava'"),
    ],
)
def test_a_configuration_that_disagrees(folder, values, message):
    set_config(folder, **values)
    with pytest.raises(ValueError, match=message):
        from_original(folder, vision_heads=HEADS)


def test_heads_that_no_file_records():
    with pytest.raises(CheckpointError, match="vision-heads"):
        from_original(CASE / "checkpoint")


def test_without_norm_where_bert_type_says_so(folder):
    set_config(folder, bert_type="qformer")
    with pytest.raises(CheckpointError, match="unexpected vision_norm"):
        from_original(folder, vision_heads=HEADS)
    for part in ("weight", "bias"):
        edit(folder, f"model.vlm_att_ln.{part}", lambda t: None)
    model, _ = from_original(folder, vision_heads=HEADS)
    assert isinstance(model.vision_norm, torch.nn.Identity)


def test_the_size_of_frames(folder):
    """The checkpoint's own position grid says it; without one the caller, then config.json, then the EVA-ViT file."""
    plain, _ = from_original(folder, vision_heads=HEADS)
    had, patch = plain.config.image_size, plain.config.vision_config.patch_size
    larger, largest = had + 2 * patch, had + 4 * patch
    set_config(folder, image_processor=f"./processor/clip-patch14-{larger}")
    for size in (None, largest):
        model, _ = from_original(folder, vision_heads=HEADS, image_size=size)
        assert model.config.image_size == had
    for name in [n for n in names() if n.startswith(TOWER)]:
        edit(folder, name, lambda t: None)
    for image_size, size in ((None, larger), (largest, largest)):
        model, report = from_original(folder, vision_heads=HEADS, image_size=image_size)
        positions = model.vision_tower.embeddings.position_embedding
        assert model.config.image_size == size and positions.shape[1] == (size // patch) ** 2 + 1
        assert any(f"to {size // patch} x {size // patch}" in source for source in report.used.values())
    set_config(folder, image_processor="./processor/clip-patch14-tiny")
    model, _ = from_original(folder, vision_heads=HEADS)
    assert model.config.image_size == had


def test_fields_that_change_no_reply_are_no_fault(folder):
    """What training scripts, other versions of transformers and generation leave in a file."""
    plain, _ = from_original(folder, vision_heads=HEADS)
    neutral = {"freeze_mm_vision_resampler": True, "tune_mm_vision_resampler": True, "unfreeze_mm_vision_tower": True}
    neutral |= {"max_length": 4096, "torch_dtype": "bfloat16", "mm_projector_lr": 2e-5}
    neutral |= {"mm_vision_select_layer": -1, "tokenizer_padding_side": "right"}
    neutral |= {"temperature": 0.9, "pretraining_tp": 2, "use_cache": False}
    neutral |= {"quantization_config": None, "sliding_window": None, "image_grid_pinpoints": [], "_flash_attn": True}
    set_config(folder, **neutral, transformers_version="4.31.0", rope_theta=10000.0, attention_dropout=0.0)
    again, _ = from_original(folder, vision_heads=HEADS)
    assert plain.config.to_dict() == again.config.to_dict()


def test_fields_that_change_a_reply_are_obeyed(folder):
    set_config(folder, rms_norm_eps=1e-3, hidden_act="gelu", rope_theta=500.0, num_key_value_heads=None)
    config = from_original(folder, vision_heads=HEADS)[0].config
    llm = config.text_config
    assert (llm.rms_norm_eps, llm.hidden_act, llm.rope_parameters["rope_theta"]) == (1e-3, "gelu", 500.0)
    assert write_config(config)["rope_theta"] == 500.0 and "rope_theta" not in write_config(config, {"bert_type": "x"})


def test_the_text_decoders_configuration_is_of_its_tensors(folder):
    """BERT-large's file beside BERT-base's tensors would give another number of heads, without a trace."""
    file = folder.parent / "bert-base-uncased" / "config.json"
    for field, value in (("hidden_size", 1024), ("hidden_act", "relu"), ("position_embedding_type", "relative_key")):
        text = file.read_text()
        file.write_text(json.dumps(json.loads(text) | {field: value}))
        with pytest.raises(CheckpointError, match=f"bert-base-uncased: .*{field}"):
            from_original(folder, vision_heads=HEADS)
        file.write_text(text)
