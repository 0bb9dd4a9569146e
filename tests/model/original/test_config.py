"""Guards sizes: what the original's `config.json` says, what tensors say, and where the two disagree."""

import pytest
import torch
from case01 import CASE, HEADS, edit, names, set_config

from llamavid_kit.files import CheckpointError
from llamavid_kit.model.original.names import TOWER
from llamavid_kit.model.original.open import from_original


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_query": 9}, "num_query=9, the tensor holds 8"),
        ({"bert_type": "raw_bert_layer:2"}, "missing tensors: text_decoder.bert.*token_type"),
        ({"bert_type": "clip"}, "bert_type='clip'.*expected"),
        ({"bert_type": ""}, "bert_type=''"),
        ({"vocab_size": 401}, r"misshapen language_model.*embed_tokens"),
        ({"num_hidden_layers": 1}, r"unexpected language_model.model.layers.1"),
        ({"num_hidden_layers": 3}, r"missing language_model.model.layers.2"),
        ({"hidden_size": 32}, "misshapen"),
        ({"compress_type": "grid:1"}, "grid:1"),
        ({"mm_vision_tower": "./nowhere.pth"}, "nowhere.pth not found .*--vision-weights"),
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
