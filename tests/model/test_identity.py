"""Guards what a result belongs to: which changes of a model make it another one, and which do not."""

import copy
from types import SimpleNamespace

import pytest
import torch
from small import small_model
from torch import nn

from llamavid_kit.model.identity import (
    SAMPLE,
    _rules,
    checksum,
    fingerprint,
    settings_key,
    vision_key,
    weights_key,
)


def weights(**tensors: torch.Tensor) -> nn.Module:
    module = nn.Module()
    for name, tensor in tensors.items():
        module.register_buffer(name, tensor)
    return module


@pytest.mark.parametrize(
    ("n", "step"), [(5, 1), (SAMPLE, 1), (2 * SAMPLE - 1, 1), (2 * SAMPLE + 3, 2), (5 * SAMPLE, 5)]
)
def test_a_fingerprint_reads_values_evenly_spaced(n, step):
    """A change is seen at the places 0, step, 2 · step, … to the end, and at no other."""
    values = torch.arange(n, dtype=torch.float32) / n
    before = fingerprint(weights(a=values))
    for at in (0, 1, 2, step * ((n - 1) // step)):
        changed = values.clone()
        changed[at] = 2
        assert (fingerprint(weights(a=changed)) != before) == (at % step == 0), at


def test_a_fingerprint_knows_names_and_shapes_and_not_their_order_or_precision():
    a, b = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.25, 4.0]]), torch.tensor([1.5])
    before = fingerprint(weights(a=a, b=b))
    assert fingerprint(weights(b=b, a=a)) == before
    for dtype in (torch.float16, torch.bfloat16):
        assert fingerprint(weights(a=a.to(dtype), b=b.to(dtype))) == before
    others = [weights(a=a.reshape(3, 2), b=b), weights(x=a, b=b), weights(a=a), weights(a=a, b=-b)]
    assert len({before, *map(fingerprint, others)}) == 5


@pytest.mark.parametrize(
    ("change", "vision"),
    [
        (lambda m: m.content_projector[0].weight.data.add_(1), False),
        (lambda m: m.language_model.lm_head.weight.data.mul_(1.001), False),
        (lambda m: m.language_model.bfloat16(), False),
        (lambda m: m.vision_norm.bias.data.add_(1e-6), True),
        (lambda m: setattr(m, "question_tokenizer", None), True),
    ],
)
def test_every_weight_is_in_the_key_of_all_and_those_that_see_in_that_of_frames(tokenizers, change, vision):
    model = small_model(*tokenizers)
    before = weights_key(model), vision_key(model)
    assert before[0] == weights_key(model, vision=before[1]) != weights_key(model, vision="another")
    change(model)
    assert weights_key(model) != before[0] and (vision_key(model) != before[1]) == vision


@pytest.mark.parametrize(
    ("part", "name", "value", "other"),
    [
        ("text_config", "rms_norm_eps", 1e-3, True),
        ("qformer_config", "hidden_act", "relu", True),
        (None, "template", "vicuna_v1", True),
        (None, "_name_or_path", "elsewhere", False),
        (None, "architectures", ["Other"], False),
        (None, "transformers_version", "1.0", False),
        (None, "world", "another", False),
        (None, "dtype", torch.float16, False),
        ("text_config", "_name_or_path", "elsewhere", False),
        ("text_config", "use_cache", False, False),
        ("text_config", "dtype", torch.float16, False),
    ],
)
def test_settings_are_in_their_key_and_where_they_came_from_is_not(tokenizers, part, name, value, other):
    model = small_model(*tokenizers)
    before = settings_key(model)
    of = getattr(model.config, part) if part else model.config
    assert getattr(of, name, None) != value
    setattr(of, name, value)
    assert (settings_key(model) != before) == other


def test_a_model_without_a_tokenizer_of_questions_has_settings(tokenizers):
    model = small_model(*tokenizers)
    before = settings_key(model)
    model.question_tokenizer = None
    assert settings_key(model) != before


def test_the_projector_of_features_is_in_the_key_of_frames(tokenizers):
    model = small_model(*tokenizers, feature_projector=True)
    before = vision_key(model)
    next(model.feature_projector.parameters()).data.add_(1e-3)
    assert vision_key(model) != before


@pytest.mark.parametrize(("name", "sees"), [("tokenizer", False), ("question_tokenizer", True)])
def test_frames_depend_on_the_words_of_questions_and_on_no_place(tokenizers, name, sees):
    model = small_model(*tokenizers)
    before = vision_key(model), settings_key(model)
    own = copy.deepcopy(getattr(model, name))
    own.name_or_path = "elsewhere"
    setattr(model, name, own)
    assert (vision_key(model), settings_key(model)) == before
    own.add_tokens(["zebra"])
    assert (vision_key(model) != before[0]) == sees and settings_key(model) != before[1]


def test_the_rules_of_a_tokenizer_are_its_kind_special_tokens_and_words(tokenizers):
    """Also of one that has no fast backend: sentencepiece's own."""
    slow = SimpleNamespace(special_tokens_map={"eos_token": "</s>"}, get_vocab=lambda: {"a": 0, "</s>": 1})
    assert _rules(slow) == ["SimpleNamespace", {"eos_token": "</s>"}, {"vocabulary": {"a": 0, "</s>": 1}}]
    fast = copy.deepcopy(tokenizers[0])
    kind, special, rules = _rules(fast)
    assert kind == type(fast).__name__ and special == {k: str(v) for k, v in fast.special_tokens_map.items()}
    assert rules["model"]["vocab"].items() <= fast.get_vocab().items() and not {"truncation", "padding"} & set(rules)
    fast.eos_token = "another"
    assert _rules(fast)[1] != special


def checksum_of_words(raw: bytes) -> int:
    """The same, word by word, in Python's whole numbers."""
    mask, total = 2**64 - 1, 0
    body, tail = raw[: len(raw) // 8 * 8], raw[len(raw) // 8 * 8 :]
    words = [int.from_bytes(body[k : k + 8], "little") for k in range(0, len(body), 8)]
    for place, word in [*enumerate(words), (-1, int.from_bytes(tail.ljust(8, b"\0"), "little"))]:
        mixed = (place * 0x9E3779B97F4A7C15 + word) & mask
        mixed = ((mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93) & mask
        total += mixed ^ mixed >> 32
    return (total & mask) - 2**64 * ((total & mask) >> 63)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 1001])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_a_checksum_is_that_of_its_words(n, dtype):
    values = torch.randn(n + 1, generator=torch.Generator().manual_seed(n)).mul(50).to(dtype)
    for tensor in (values[:n], values[1:]):  # the second does not begin at a whole word
        raw = tensor.view(torch.uint8).numpy().tobytes()
        assert checksum(tensor) == checksum_of_words(raw) == checksum(tensor.clone())


def test_any_changed_bit_and_any_exchange_gives_another_checksum():
    """Also in a piece after the first, and in what is left after the last whole word."""
    values = torch.randn(2**18 * 4 + 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    before, found = checksum(values), set()
    for at in [0, 1, 7, 2**17 * 4, 2**18 * 4 - 1, 2**18 * 4, len(values) - 1]:
        for bit in range(16):
            changed = values.clone()
            changed.view(torch.int16)[at] ^= -(2**15) if bit == 15 else 2**bit
            found.add(checksum(changed))
    for a, b in [(0, 1), (0, 4), (0, 2**17 * 4), (5, len(values) - 1)]:
        changed = values.clone()
        changed[[a, b]] = values[[b, a]]
        found.add(checksum(changed))
    assert before not in found and len(found) == 7 * 16 + 4
