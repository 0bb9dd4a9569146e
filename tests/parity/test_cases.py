"""Every stage of the model against the tensors of the original code, through the checkpoint conversion.

All dimensions are read from the case's files. Stages are compared in data order, so that the first red test names the
guilty one. Tolerance: 5e-5 absolute (the original deviates up to 1e-5 from its own float64 run); ids exactly.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from outside import outside_folder
from safetensors.torch import load_file

from llamavid_kit.data.prompt import IMAGE, IMAGE_SLOT, tokenize
from llamavid_kit.model import checkpoints
from llamavid_kit.model.context_attention import VisualTokens, content_tokens
from llamavid_kit.model.original.open import from_original
from llamavid_kit.model.text_decoder import tokenize_questions

SHIPPED = Path(__file__).parents[2] / "llamavid_kit" / "assets" / "case01"
REFERENCE = outside_folder("LLAMAVID_REFERENCE")
WITHOUT_STAGES = ("case10_grad",)  # training: test_stages.py
CASES = sorted(f.name for f in REFERENCE.glob("case*") if f.name not in WITHOUT_STAGES) if REFERENCE else ["cases"]


@dataclass
class Case:
    folder: Path
    about: dict
    io: dict
    model: object
    images: list


@cache
def _open(folder: Path) -> Case:
    about = json.loads((folder / "case.json").read_text())
    dims = json.loads((folder / "tiny_dims.json").read_text())
    model, _ = from_original(folder / "checkpoint", vision_heads=dims["vision"]["num_heads"])
    io = load_file(folder / "io.safetensors")
    names = sorted((n for n in io if n.startswith("images.")), key=lambda n: int(n.split(".")[1]))
    images = [io[n] for n in names] or list(io["images"].unsqueeze(1))
    return Case(folder, about, io, model, images)


@pytest.fixture(params=("shipped", *CASES))
def case(request) -> Case:
    """Case 01 as it ships with these tests, so that everybody can check it, and the cases of the reference folder."""
    if request.param == "shipped":
        return _open(SHIPPED)
    return _open(request.getfixturevalue("reference") / request.param)


def close(actual, expected, *, what):
    torch.testing.assert_close(actual, expected, atol=5e-5, rtol=0, msg=lambda m: f"{what}: {m}")


def check(seen: set, case: Case, name: str, actual):
    """Compare with the stored tensor, if the case stores it, and remember that it was covered."""
    if name in case.io:
        expected = case.io[name]
        if expected.is_floating_point():
            close(actual, expected, what=f"{case.about['name']} {name}")
        else:
            assert torch.equal(actual.to(expected.dtype), expected), f"{case.about['name']} {name}"
        seen.add(name)


def features_of(case: Case, images):
    """The tower's features; long video comes as features."""
    return case.model.encode_frames(images) if images.ndim == 4 else images


@torch.no_grad()
def visual_of(case: Case, prompts: list[str], images, *, seen=None, prefix="") -> list[VisualTokens]:
    """Walk the stages for one sample; compare each with what the case stores."""
    model, seen = case.model, set() if seen is None else seen
    features = features_of(case, images)
    n = len(prompts)
    ids, mask = tokenize_questions(model.question_tokenizer, prompts)
    ids, mask = (x.repeat_interleave(len(features), 0) for x in (ids, mask))
    check(seen, case, prefix + "bert_input_ids", ids)
    queries_mask = torch.cat([mask.new_ones(len(mask), model.config.n_query), mask], 1)
    check(seen, case, prefix + "bert_attention_mask", queries_mask)
    repeated = features.repeat(n, 1, 1)
    patches = model.patches(repeated)
    asked_of = patches if model.config.plain_bert else repeated
    check(seen, case, prefix + "bert_proj_in", asked_of)
    projected = model.feature_projector(asked_of)
    check(seen, case, prefix + "bert_proj_out", projected)
    normed = model.vision_norm(projected)
    check(seen, case, prefix + "att_ln_out", normed)
    check(seen, case, prefix + "bert_encoder_hidden_states", normed)
    queries = model.text_decoder(normed, ids, mask)
    check(seen, case, prefix + "bert_out", queries)
    check(seen, case, prefix + "bert_out_full", queries)
    attention = model.context_attention
    check(seen, case, prefix + "text_q", attention.text_projector(queries))
    check(seen, case, prefix + "vis_embed", patches)
    keys = attention.key_projector(patches)
    check(seen, case, prefix + "key", keys)
    scores = attention.text_projector(queries) @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5
    check(seen, case, prefix + "scores_pre", scores)
    context, weights = attention(queries, patches)
    check(seen, case, prefix + "scores_post", weights)
    check(seen, case, prefix + "ctx_pre", context[:, None])
    check(seen, case, prefix + "ctx_token", attention.value_projector(context)[:, None])
    content = content_tokens(patches, model.config.content)
    check(seen, case, prefix + "content_pre", content)
    check(seen, case, prefix + "content_token", model.content_projector(content))
    frames = len(features)
    stages = [VisualTokens(context[k : k + frames], content[k : k + frames]) for k in range(0, n * frames, frames)]
    check(seen, case, prefix + "visual_tokens", torch.stack([model.project(tokens) for tokens in stages]))
    words = zip(*model.question_ids(prompts), strict=True)  # padded to one length, as the original does
    public = [model.compress(features, *(row.expand(frames, -1) for row in rows)) for rows in words]
    for ours, walked in zip(public, stages, strict=True):
        close(ours.context, walked.context, what="frame_tokens.context")
        close(ours.content, walked.content, what="frame_tokens.content")
    return public


@torch.no_grad()
def test_every_stored_stage(case):
    """Tower, text decoder, context attention, content, splice, logits, loss: all the case stores."""
    model, io, seen = case.model, case.io, {n for n in case.io if n.startswith(("images", "generate"))}
    seen |= {"input_ids", "attention_mask_in", "labels_in"}
    features = torch.cat([features_of(case, clip) for clip in case.images])
    check(seen, case, "vision_features", features)
    visual = [
        visual_of(case, prompts, clip, seen=seen, prefix=f"sample{i}.")
        for i, (prompts, clip) in enumerate(zip(case.about["prompts"], case.images, strict=True))
    ]
    slots = (io["input_ids"] == IMAGE_SLOT).sum(1)
    visual = [tokens if n else [] for tokens, n in zip(visual, slots.tolist(), strict=True)]  # a text-only sample
    embeds, mask, labels = model.splice(
        io["input_ids"], visual, attention_mask=io.get("attention_mask_in"), labels=io.get("labels_in")
    )
    check(seen, case, "inputs_embeds", embeds)
    check(seen, case, "attention_mask_out", mask)
    if labels is not None:
        check(seen, case, "labels_out", labels)
    out = model(
        input_ids=io["input_ids"], attention_mask=io.get("attention_mask_in"), labels=io.get("labels_in"), visual=visual
    )
    check(seen, case, "logits", out.logits)
    if "loss" in io:
        check(seen, case, "loss", out.loss)
    assert not set(io) - seen, f"not compared: {sorted(set(io) - seen)}"


@torch.no_grad()
def test_greedy_generation(case):
    """The same new ids as the original, and the same logits at every step."""
    for i, run in enumerate(case.about["generate"]):
        names = run["images_tensor_names"]  # a list, or "images": the tensor form
        images = case.io[names] if isinstance(names, str) else case.io[names[0]]
        assert len(run["prompts"]) == 1 and (isinstance(names, str) or len(names) == 1)
        visual = visual_of(case, run["prompts"][0], images)
        out = case.model.generate(
            case.io[f"generate{i}.input_ids"],
            visual=[visual],
            do_sample=False,
            max_new_tokens=run["n_new"],
            min_new_tokens=run["n_new"],
            output_logits=True,
            return_dict_in_generate=True,
            eos_token_id=-1,
        )
        assert torch.equal(out.sequences, case.io[f"generate{i}.new_ids"])
        close(torch.stack(out.logits, 1), case.io[f"generate{i}.scores"], what=f"generate{i}.scores")


def test_prompt_ids(case):
    """The stored prompt text gives the stored ids."""
    for i, run in enumerate(case.about["generate"]):
        if IMAGE in run["prompt_text"]:  # case 05 describes its prompt instead of writing it out
            ids = tokenize(case.model.tokenizer, run["prompt_text"])
            assert ids == case.io[f"generate{i}.input_ids"][0].tolist()


def without_dtype(config):
    """Saving records the weights' dtype; everything else must stay."""
    volatile = ("dtype", "architectures", "_name_or_path", "transformers_version")
    return {k: without_dtype(v) if isinstance(v, dict) else v for k, v in config.items() if k not in volatile}


def test_saved_and_loaded_again(case, tmp_path):
    """convert → load gives the same tensors, configuration and ids."""
    checkpoints.save(case.model, tmp_path)
    again = checkpoints.load(tmp_path)
    ours, theirs = case.model.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[n], theirs[n]) for n in ours)
    assert without_dtype(again.config.to_dict()) == without_dtype(case.model.config.to_dict())
    text = "USER: <image>\nWhat is it? ASSISTANT:"
    assert tokenize(again.tokenizer, text) == tokenize(case.model.tokenizer, text)
