"""Guards fast greedy decoding: the ids of transformers' `generate`, ends and padding included, also when used again."""

import pytest
import torch
from small import QUESTION, random_tokens, small_model

from llamavid_kit.data.prompt import open_prompt
from llamavid_kit.model import decoding
from llamavid_kit.model.ask import greedy_texts
from llamavid_kit.model.decoding import GreedyDecoder, fixed_length, greedy_ids, release

END, PAD = 2, 0


@pytest.fixture(scope="module")
def ending_model(tokenizers):
    """A model that ends its replies, after different numbers of tokens."""
    model = small_model(*tokenizers, seed=3)
    with torch.no_grad():
        model.language_model.lm_head.weight[END] *= 3.0
    return model


@torch.no_grad()
def prompts(model, lengths, seed=0):
    ids = torch.tensor([open_prompt(model.tokenizer, "plain", QUESTION)] * len(lengths)).to(model.device)
    where = (model.device, model.get_input_embeddings().weight.dtype)
    clips = [[random_tokens(model, n, seed=seed + k).to(*where)] for k, n in enumerate(lengths)]
    embeds, mask, _ = model.splice(ids, clips, side="left")
    return embeds, mask


def generated(model, embeds, mask, n):
    options = {"eos_token_id": END, "pad_token_id": PAD}
    return model.generate(inputs_embeds=embeds, attention_mask=mask, do_sample=False, max_new_tokens=n, **options)


@pytest.mark.parametrize("n", [1, 2, 12, 40])
def test_the_ids_of_generate(ending_model, n):
    """Twice with one decoder: nothing of the first clips is left for the second."""
    decoder = GreedyDecoder(ending_model.language_model, 4, fixed_length(300))
    for seed in (0, 50):
        embeds, mask = prompts(ending_model, (1, 5, 2, 9), seed)
        expected = generated(ending_model, embeds, mask, n)
        assert torch.equal(decoder.generate(embeds, mask, max_new_tokens=n, end=END, pad=PAD), expected)
    if n == 40:
        ends = {(row == END).nonzero().flatten()[:1].tolist().__str__() for row in expected}
        assert len(ends) >= 2, "all replies end alike: this test would not see padding after the end"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_whichever_gpu_the_model_lies(tokenizers):
    """Also where it is not the process's current one: the graph would be empty there, and the reply a leftover."""
    for k in range(torch.cuda.device_count()):
        model = small_model(*tokenizers, seed=3).to(f"cuda:{k}")
        for seed in (0, 50):
            embeds, mask = prompts(model, (1, 5, 2, 9), seed)
            ids = greedy_ids(model, embeds, mask, max_new_tokens=12, end=END, pad=PAD)
            assert torch.equal(ids, generated(model, embeds, mask, 12)), (k, seed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_prompts_get_the_same_replies(tokenizers):
    """In bfloat16, 32 at a time: of a 7B, cuDNN's attention says two thirds of them otherwise the second time."""
    model = small_model(*tokenizers, seed=3).to("cuda", torch.bfloat16)
    embeds, mask = prompts(model, [40 + k for k in range(32)])
    first, *others = (greedy_ids(model, embeds, mask, max_new_tokens=64, end=-1, pad=PAD) for _ in range(4))
    assert all(torch.equal(first, ids) for ids in others)


@pytest.mark.parametrize("recorded", [True, False])
def test_no_reply_is_written_with_cudnns_attention(own_model, monkeypatch, recorded):
    """By either way of writing; and afterwards everything is as it was."""
    monkeypatch.setattr(decoding, "_recordable", lambda _: recorded)
    seen = []
    own_model.language_model.lm_head.register_forward_pre_hook(
        lambda *_: seen.append(torch.backends.cuda.cudnn_sdp_enabled())
    )
    prompt = open_prompt(own_model.tokenizer, "plain", QUESTION)
    greedy_texts(own_model, [prompt], [random_tokens(own_model, 2)], max_new_tokens=3)
    assert len(seen) >= 2 and not any(seen)
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_it_stops_when_all_replies_have_ended(ending_model, monkeypatch):
    steps, kept = [], GreedyDecoder._step
    monkeypatch.setattr(GreedyDecoder, "_step", lambda self: (steps.append(1), kept(self)))
    monkeypatch.setattr(decoding, "LOOK_EVERY", 4)
    embeds, mask = prompts(ending_model, (1, 5, 2))
    decoder = GreedyDecoder(ending_model.language_model, 3, fixed_length(400))
    ids = decoder.generate(embeds, mask, max_new_tokens=100, end=END, pad=PAD)
    assert ids.shape[1] <= len(steps) + 1 < ids.shape[1] + 4 < 100


def test_what_cannot_be_recorded_is_left_to_generate(ending_model, monkeypatch):
    """On a CPU; and on a GPU where a hook, another attention, or a setting of the checkpoint must be obeyed."""
    embeds, mask = prompts(ending_model, (1,))
    assert greedy_ids(ending_model, embeds, mask, max_new_tokens=3, end=END, pad=PAD) is None
    monkeypatch.setattr(type(ending_model), "device", torch.device("cuda"))
    monkeypatch.setattr(decoding, "_devices", lambda _: {torch.device("cuda")})
    assert decoding._recordable(ending_model)
    hook = ending_model.language_model.model.layers[0].register_forward_hook(lambda *_: None)
    assert not decoding._recordable(ending_model)
    hook.remove()
    with monkeypatch.context() as patch:
        patch.setattr(ending_model.language_model.config, "_attn_implementation", "eager")
        assert not decoding._recordable(ending_model)
    with monkeypatch.context() as patch:
        patch.setattr(ending_model.generation_config, "repetition_penalty", 1.2)
        assert not decoding._recordable(ending_model)
    assert decoding._recordable(ending_model)


def test_a_decoder_is_kept_for_its_shape_and_its_weights_alone(own_model, monkeypatch):
    """A recorded step reads weights where they lay, through the modules that were there."""
    from peft import get_peft_model

    from llamavid_kit.model.lora import LoraSettings, lora_config

    monkeypatch.setattr(decoding, "_recordable", lambda _: True)

    def kept(lengths=(2, 3)):
        embeds, mask = prompts(own_model, lengths)
        ids = greedy_ids(own_model, embeds, mask, max_new_tokens=5, end=END, pad=PAD)
        assert torch.equal(ids, generated(own_model, embeds, mask, 5))
        return decoding._KEPT[own_model]

    first = kept()
    assert kept((4, 1)) is first  # as long, rounded up
    assert kept((2, 3, 4)) is not first
    first = kept()
    own_model.language_model.lm_head.weight.data = own_model.language_model.lm_head.weight.data * 2
    assert kept() is not first
    first = kept()
    adapted = get_peft_model(own_model, lora_config(LoraSettings(r=2)))
    second = kept()
    assert second is not first
    with adapted.disable_adapter():
        assert kept() is not second
    adapted.unload()
    release(own_model)
    assert own_model not in decoding._KEPT


@pytest.mark.parametrize(("n", "length"), [(1, 256), (256, 256), (257, 512), (7400, 7680), (21811, 22528)])
def test_lengths_are_shared(n, length):
    assert fixed_length(n) == length
