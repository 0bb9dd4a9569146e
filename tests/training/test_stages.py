"""Guards the stages as data: parts cover the model, option strings mean what they say, settings are the published."""

import json

import pytest
from original_options import ORIGINAL_FREEZES, trained_by

from llamavid_kit.data.prompt import TEMPLATES
from llamavid_kit.model.lora import LoraSettings, add_lora, lora_config
from llamavid_kit.training.stages import (
    PARTS,
    STAGES,
    Stage,
    keeps_frame_tokens,
    part_of,
    set_trainable,
    stage_named,
)

PROJECTORS = {"text_projector", "key_projector", "value_projector"}
TEXT_DECODER = {"text_decoder", "query_tokens", "vision_norm"}
EXPECTED = {  # by hand, without the feature projector that this model lacks
    "align": PROJECTORS | {"content_projector"},
    "instruct": PROJECTORS | TEXT_DECODER | {"content_projector", "language_model"},
    "long_video": {"content_projector", "language_model"},
    "freeze_all": {"content_projector", "language_model"},
    "freeze_content": PROJECTORS | {"language_model"},
    "moving_token_lora": PROJECTORS | TEXT_DECODER | {"content_projector"},
}


def test_every_parameter_belongs_to_one_part(own_model):
    parts = {part_of(name) for name, _ in own_model.named_parameters()}
    assert parts == set(PARTS) - {"feature_projector"}
    assert part_of("text_decoder.query_tokens") == "query_tokens" and part_of("text_decoder.q") == "text_decoder"
    with pytest.raises(ValueError, match="nowhere.weight belongs to none"):
        part_of("nowhere.weight")


@pytest.mark.parametrize("name", STAGES)
def test_what_trains(own_model, name):
    trained = set_trainable(own_model, STAGES[name])
    assert {part_of(n) for n in trained} == EXPECTED[name]
    whole = {n for n, _ in own_model.named_parameters() if part_of(n) in EXPECTED[name]}
    assert set(trained) == whole == {n for n, p in own_model.named_parameters() if p.requires_grad}
    assert keeps_frame_tokens(trained) == (name in ("long_video", "freeze_all"))
    assert STAGES[name].template in TEMPLATES and STAGES[name].about


def test_the_next_stage_forgets_the_last(own_model):
    alone = set_trainable(own_model, STAGES["align"])
    set_trainable(own_model, STAGES["instruct"])
    assert set_trainable(own_model, STAGES["align"]) == alone


@pytest.mark.parametrize("part", PARTS)
def test_what_frame_tokens_depend_on(part):
    """Whatever comes before a `VisualTokens` changes it; the projectors after it do not."""
    after = part in ("value_projector", "content_projector", "language_model")
    assert keeps_frame_tokens([f"{PARTS[part]}weight"]) == after
    assert not keeps_frame_tokens(["language_model.x", "vision_norm.weight", "content_projector.0.bias"])


def test_adapters_train_only_in_a_stage_with_lora(own_model):
    add_lora(own_model, lora_config(LoraSettings(r=2, alpha=4)))
    adapters = {n for n, _ in own_model.named_parameters() if ".lora_" in n}
    assert len(adapters) == 2 * 7 * 2 and all(part_of(n) == "language_model" for n in adapters)
    moving = set(set_trainable(own_model, STAGES["moving_token_lora"]))
    assert adapters <= moving and not any(part_of(n) == "language_model" for n in moving - adapters)
    trained = set_trainable(own_model, STAGES["freeze_all"])
    assert not adapters & set(trained) and any("base_layer" in n for n in trained)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"bert_type": "qformer_pretrain_freeze", "tune_mm_mlp_adapter": "True"}, "align"),
        ({"bert_type": "qformer_pretrain"}, "instruct"),
        ({"bert_type": "qformer_pretrain", "tune_mm_mlp_adapter": "False", "lora_enable": "False"}, "instruct"),
        ({"bert_type": "qformer_pretrain_freeze_all"}, "freeze_all"),
        ({"bert_type": "qformer_pretrain_freeze", "freeze_mm_mlp_adapter": "True"}, "freeze_content"),
        ({"bert_type": "qformer_pretrain", "lora_enable": "True"}, "moving_token_lora"),
    ],
)
def test_option_strings(options, name):
    assert set(trained_by(options)) == set(STAGES[name].trains)


def test_the_table_names_parts():
    assert all(set(parts) <= set(PARTS) for parts in ORIGINAL_FREEZES.values())
    assert set(trained_by({"bert_type": "qformer_pretrain_freeze"})) == set(PARTS) - TEXT_DECODER - {"vision_tower"}


def test_unknown_names(own_model):
    with pytest.raises(ValueError, match="'stage1': expected one of align, instruct, long_video, freeze_all"):
        stage_named("stage1")
    with pytest.raises(ValueError, match="unknown parts \\['lm_head'\\]"):
        set_trainable(own_model, Stage(("lm_head",), "plain"))


def test_settings_are_the_published(real):
    """Per step the same samples as all GPUs of the original together; everything else as its scripts say."""
    prompts = json.loads((real / "prompts.json").read_text())
    scripts, study = prompts["training_original"], prompts["fine_tuning_study"]
    common = scripts["common"]
    published = {
        "align": scripts["stage1"] | common,
        "instruct": scripts["stage2"] | common,
        "long_video": scripts["stage3"] | common,
        "freeze_all": study | {"version": "imgsp_v1"},
    }
    for name, theirs in published.items():
        ours = STAGES[name].settings
        for field in ("learning_rate", "epochs", "scheduler", "warmup_ratio", "weight_decay"):
            assert getattr(ours, field) == theirs[field], (name, field)
        assert ours.batch_size == theirs["batch_per_gpu"] and ours.max_length == theirs["model_max_length"]
        assert ours.accumulate == theirs.get("gradient_accumulation", 1) * theirs["gpus"]
        assert STAGES[name].template == theirs["version"]
        assert set(STAGES[name].trains) == set(
            trained_by({"bert_type": theirs["bert_type"], "tune_mm_mlp_adapter": str(name == "align")})
        )
    lora = STAGES["moving_token_lora"].lora
    assert {"r": lora.r, "alpha": lora.alpha, "dropout": lora.dropout} == common["lora"]
