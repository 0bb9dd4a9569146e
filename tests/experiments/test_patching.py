"""Guards causal patching: kept moves are the model itself, patched ones its twin, and the credit adds up."""

import pytest
import small
import torch

from llamavid_kit.experiments.patching import Twins, run


@pytest.fixture(scope="module")
def twins(tokenizers):
    model = small.small_model(*tokenizers).requires_grad_(False)
    draw = torch.Generator().manual_seed(3)
    width = model.config.text_config.hidden_size
    read, read_twin = (torch.randn(4, 7, width, generator=draw) for _ in range(2))
    read_twin[:, -1] = read[:, -1]
    words = torch.tensor([[5, 9]] * 4)
    rises = Twins(model, read, read_twin, words).fall < 0
    return Twins(model, read, read_twin, torch.where(rises[:, None], words.flip(1), words))


def test_all_moves_kept_are_the_model_and_none_are_its_twin(twins):
    as_is = twins.model.language_model(inputs_embeds=twins.read).logits[:, -1].log_softmax(-1)
    torch.testing.assert_close(run(twins.model, twins.read)[0], as_is)
    torch.testing.assert_close(twins.worth(twins.all), twins.fall)
    torch.testing.assert_close(twins.worth(0 * twins.all), torch.zeros(4), atol=1e-5, rtol=0)
    assert twins.fall.abs().min() > 1e-4


def test_a_patched_head_is_what_a_hook_on_its_output_gives(twins):
    """A second way, through the model's own layers: columns of what enters `o_proj`, at one position."""
    keep, layer, head, at = twins.all.clone(), 0, 1, 4
    keep[layer, head, at] = 0
    attention, value = twins.twin_moves[layer]
    other, part = (attention @ value)[:, head, at], twins.model.language_model.model.layers[layer].self_attn

    def patched(_, inputs):
        moved = inputs[0].clone()
        moved[:, at, head * part.head_dim : (head + 1) * part.head_dim] = other
        return (moved,)

    hook = part.o_proj.register_forward_pre_hook(patched)
    log = twins.model.language_model(inputs_embeds=twins.read).logits[:, -1].log_softmax(-1)
    hook.remove()
    torch.testing.assert_close(
        twins.worth(keep), log.gather(1, twins.words) @ torch.tensor([1.0, -1.0]) - twins.without
    )
    assert not torch.allclose(twins.worth(keep), twins.fall)


def test_credit_adds_up_to_the_fall_and_a_path_keeps_what_it_promises(twins):
    credit = twins.credit(steps=60)
    torch.testing.assert_close(credit.sum(), twins.fall.mean(), atol=1e-3, rtol=1e-2)
    assert not credit[twins.all == 0].any()
    path = twins.path(credit, enough=0.8)
    left, n = twins.share(twins.worth(path)), int(path.sum())
    assert left.value >= 0.8 and left.low <= left.value <= left.high
    assert (twins.worth(twins.best(credit, n - 1)).sum() / twins.fall.sum()) < 0.8
    assert torch.equal(path, twins.best(credit, n)) and not path[twins.all == 0].any()
