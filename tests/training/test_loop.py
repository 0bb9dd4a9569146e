"""Guards the loop itself: what it leaves of a model when a batch fails, and what it does not say."""

import logging

import pytest
import torch

from llamavid_kit.training.dataset import TokenCollate, TokenPairs
from llamavid_kit.training.loop import fit
from llamavid_kit.training.stages import TrainSettings


def test_checkpoints_within_a_second_are_no_news(tmp_path, caplog):
    """transformers warns of every quick run that it orders its checkpoints by step instead of by time."""
    data = [{"x": torch.ones(1)}] * 4
    model = torch.nn.Linear(1, 1)
    model.forward = lambda x: {"loss": (model.weight * x).sum()}
    with caplog.at_level("WARNING"):
        logging.getLogger("transformers").addHandler(caplog.handler)
        fit(
            model,
            data,
            lambda items: {"x": torch.stack([i["x"] for i in items])},
            out=tmp_path,
            settings=TrainSettings(batch_size=1, epochs=1, save_every=1),
        )
        logging.getLogger("transformers").removeHandler(caplog.handler)
    assert "mtime" not in caplog.text and len(list((tmp_path / "checkpoints").iterdir())) == 1


@pytest.mark.parametrize("place", ["dataset", "collate"])
def test_after_an_error_the_model_has_its_types_and_mode(own_model, data, tmp_path, place):
    """The third batch fails in the middle of training, when what trains is float32."""
    own_model.to(torch.bfloat16).requires_grad_(False)
    own_model.content_projector.requires_grad_(True)
    own_model.language_model.model.layers[0].float().requires_grad_(True)
    before = [(name, p.dtype, p.requires_grad) for name, p in own_model.named_parameters()]
    assert len({dtype for _, dtype, _ in before}) == 2 and not own_model.training
    whole, types = TokenCollate(own_model.tokenizer.pad_token_id), []

    class Torn(TokenPairs):
        def __getitem__(self, i):
            if place == "dataset" and i == 4:
                raise ValueError("planted")
            return super().__getitem__(i)

    def collate(samples):
        types.append({p.dtype for p in own_model.parameters() if p.requires_grad})
        if place == "collate" and any(len(tokens) == 5 for *_, tokens in samples):
            raise ValueError("planted")
        return whole(samples)

    settings = TrainSettings(batch_size=2, epochs=1)
    with pytest.raises(ValueError, match="planted"):
        fit(own_model, Torn(own_model, *data), collate, out=tmp_path, settings=settings, in_order=True)
    assert [(name, p.dtype, p.requires_grad) for name, p in own_model.named_parameters()] == before
    assert not any(module.training for module in own_model.modules())
    assert types and all(types_of_batch == {torch.float32} for types_of_batch in types)
