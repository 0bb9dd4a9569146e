"""Guards the three steps and the splice: what goes into the language model, in which order, and what is trained by it.

Each stage stands against a second, naive implementation; the steps in pieces equal the steps at once; and nothing of a
question stays behind in the model.
"""

import copy
import functools

import numpy as np
import pytest
import torch
from small import QUESTION, assert_same, random_frames, random_tokens, small_model, snapshot, write_clip

from llamavid_kit.data.pixels import pixel_values
from llamavid_kit.data.prompt import IGNORE, IMAGE_SLOT, human_turn, open_prompt, supervised, tokenize
from llamavid_kit.data.video import Video
from llamavid_kit.model import llama_vid
from llamavid_kit.model.context_attention import VisualTokens

OTHER = "What happens in the video?"


def close(actual, expected, atol=2e-5):
    torch.testing.assert_close(actual, expected, atol=atol, rtol=1e-4)


# --- splice


def naive_splice(model, ids, visual, masks, labels, side):
    """Token by token, into Python lists."""
    table = model.language_model.model.embed_tokens.weight
    samples = []
    for b, row in enumerate(ids.tolist()):
        entries, out = iter(visual[b]), []
        for k, token in enumerate(row):
            if token == IMAGE_SLOT:
                tokens = next(entries)
                for t in range(len(tokens)):
                    out.append((model.context_attention.value_projector(tokens.context[t]), True, -100))
                    out += [(model.content_projector(x), True, -100) for x in tokens.content[t]]
            else:
                out.append((table[token], bool(masks[b, k]), int(labels[b, k])))
        samples.append(out)
    longest = max(map(len, samples))
    padding = [[(torch.zeros(table.shape[1]), False, -100)] * (longest - len(s)) for s in samples]
    whole = [p + s if side == "left" else s + p for s, p in zip(samples, padding, strict=True)]
    embeds = torch.stack([torch.stack([x for x, _, _ in s]) for s in whole])
    mask, labels = (torch.tensor([[entry[k] for entry in s] for s in whole]) for k in (1, 2))
    return embeds, mask, labels


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_splice_in_place(model, side):
    """Slots first, last, in the middle, two of one sample and none of another; a mask with holes; labels."""
    s = IMAGE_SLOT
    ids = torch.tensor([[5, s, 7, s, 9, 4], [s, 6, 7, 8, 9, 3], [5, 6, 7, 8, 9, 2], [5, 6, 7, 8, 9, s]])
    clips = [random_tokens(model, n, seed=n, n_content=2) for n in (2, 1, 4, 3)]
    visual = [[clips[0], clips[1]], [clips[2]], [], [clips[3]]]
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1]])
    labels = torch.where(torch.arange(24).view(4, 6) % 3 == 0, ids, IGNORE)
    labels[ids == s] = IGNORE
    embeds, out_mask, out_labels = model.splice(ids, visual, attention_mask=mask, labels=labels, side=side)
    expected = naive_splice(model, ids, visual, mask, labels, side)
    close(embeds, expected[0])
    assert out_mask.dtype == torch.bool and torch.equal(out_mask, expected[1]) and torch.equal(out_labels, expected[2])
    assert (out_labels != IGNORE).sum() == (labels != IGNORE).sum()


@torch.no_grad()
def test_splice_pads_on_the_right_and_masks_nothing_else_unless_told(model):
    clips = [random_tokens(model, n) for n in (1, 3)]
    embeds, mask, labels = model.splice(torch.tensor([[5, IMAGE_SLOT]] * 2), [[c] for c in clips])
    assert labels is None and mask.sum(1).tolist() == [3, 7] and mask[0].tolist() == [True] * 3 + [False] * 4
    assert (embeds[0, 3:] == 0).all() and (embeds[0, :3] != 0).any(-1).all()


@pytest.mark.parametrize(("n_slots", "n_clips"), [(1, 0), (1, 2), (0, 1), (2, 1)])
def test_slots_and_clips_must_agree(model, n_slots, n_clips):
    ids = torch.tensor([[4, 5], [IMAGE_SLOT] * n_slots + [5] * (2 - n_slots)])
    with pytest.raises(ValueError, match=f"sample 1: {n_slots} image slots in the prompt, {n_clips} clips given"):
        model.splice(ids, [[], [random_tokens(model, 3)] * n_clips])


@torch.no_grad()
def test_one_slot_a_token(model):
    """Frames and subtitles alternate: text keeps its place, labels stay with it, frame tokens come in order."""
    tokens = random_tokens(model, 2)  # two tokens a frame
    ids = torch.tensor([[5, IMAGE_SLOT, IMAGE_SLOT, 7, IMAGE_SLOT, IMAGE_SLOT, 9]])
    supervised_ids = torch.tensor([[1, IGNORE, IGNORE, 2, IGNORE, IGNORE, 3]])
    embeds, mask, labels = model.splice(ids, [[tokens]], labels=supervised_ids)
    rows, text = model.project(tokens), model.get_input_embeddings()(torch.tensor([5, 7, 9]))
    assert torch.equal(embeds[0], torch.stack([text[0], rows[0], rows[1], text[1], rows[2], rows[3], text[2]]))
    assert mask.all() and torch.equal(labels, supervised_ids)


@torch.no_grad()
def test_features_without_class_token(model):
    """The patches and the content are the same; only the text decoder sees one token less."""
    features = model.encode_frames(random_frames(3))
    whole, bare = model.frame_tokens(features, QUESTION), model.frame_tokens(features[:, 1:], QUESTION)
    assert torch.equal(whole.content, bare.content) and not torch.equal(whole.context, bare.context)
    with pytest.raises(ValueError, match="15 features a frame: expected 17, class token first, or the 16 patches"):
        model.frame_tokens(features[:, 2:], QUESTION)


@torch.no_grad()
def test_several_questions_are_those_asked_alone(model):
    features = model.encode_frames(random_frames(3))
    questions = [QUESTION, "What happens?"]
    for question, *padded in zip(questions, *model.question_ids(questions), strict=True):
        together = model.compress(features, *(row.expand(3, -1) for row in padded))
        alone = model.frame_tokens(features, question)
        torch.testing.assert_close(together.context, alone.context, atol=1e-5, rtol=0)
        assert torch.equal(together.content, alone.content)


def test_only_the_slot_may_stand_outside_the_vocabulary(model):
    with pytest.raises(IndexError):
        model.splice(torch.tensor([[5, -100, 6]]), [[]])


# --- frames and questions


@torch.no_grad()
def test_chunks_change_nothing(model):
    frames = random_frames(7)
    whole = model.encode_frames(frames)
    assert whole.shape == (7, 17, 24)
    close(model.encode_frames(frames, chunk=3), whole)
    at_once, in_chunks = model.frame_tokens(whole, QUESTION), model.frame_tokens(whole, QUESTION, chunk=2)
    assert at_once.attention.shape == (7, 3, 16)
    for name in ("context", "content", "attention"):
        close(getattr(in_chunks, name), getattr(at_once, name))
        close(getattr(model.frame_tokens(whole[4:5], QUESTION), name), getattr(at_once, name)[4:5])


@torch.no_grad()
def test_at_most_a_chunk_passes_the_tower(model, monkeypatch):
    seen = []
    kept = type(model.vision_tower).forward
    monkeypatch.setattr(
        type(model.vision_tower),
        "forward",
        lambda self, pixel_values: seen.append(len(pixel_values)) or kept(self, pixel_values=pixel_values),
    )
    model.encode_frames(random_frames(7), chunk=3)
    model.encode_frames(random_frames(130))
    assert seen == [3, 3, 1, 64, 64, 2]


@pytest.mark.parametrize("ahead", [1, 3, 9])
@torch.no_grad()
def test_features_wait_for_the_text_decoder(model, tmp_path, monkeypatch, ahead):
    """Decoded by 4 and asked about by 10 frames: each frame once, in order, with the tokens of the whole clip."""
    monkeypatch.setattr(llama_vid, "AHEAD", ahead)
    video = Video(write_clip(tmp_path / "a.mp4", seconds=2))
    kept = type(model).encode_video.__kwdefaults__
    monkeypatch.setattr(type(model).encode_video, "__kwdefaults__", kept | {"chunk": 4})
    monkeypatch.setattr(llama_vid, "ASKED_AT_ONCE", 10)
    looks, indices = [(QUESTION, None), ("What?", "all")], np.arange(23)
    chunks = list(model.look(video, looks, indices))
    assert [len(tokens) for tokens, _ in chunks] == [12, 11]
    features = model.encode_frames(model.config.pixel_values(video.frames(indices)))
    for (question, content), parts in zip(looks, zip(*chunks, strict=True), strict=True):
        whole, tokens = model.frame_tokens(features, question, content=content), VisualTokens.cat(parts)
        for name in ("context", "content", "attention"):
            close(getattr(tokens, name), getattr(whole, name))


@torch.no_grad()
def test_only_the_last_position_is_scored_while_a_reply_is_written(model, monkeypatch):
    shapes, kept = [], type(model).forward

    def forward(self, *args, **kwargs):
        out = kept(self, *args, **kwargs)
        shapes.append(tuple(out.logits.shape[:2]))
        return out

    monkeypatch.setattr(type(model), "forward", functools.wraps(kept)(forward))
    ids = torch.tensor([open_prompt(model.tokenizer, "plain", QUESTION)])
    model.generate(ids, visual=[[random_tokens(model, 4)]], do_sample=False, max_new_tokens=3, min_new_tokens=3)
    assert shapes == [(1, 1)] * 3


@torch.no_grad()
def test_bytes_equal_normalised_frames(model):
    frames = random_frames(3)
    normalised = pixel_values(frames.numpy(), size=28)
    close(model.encode_frames(frames), model.encode_frames(normalised))
    mean, std = torch.tensor([0.1, 0.5, 0.3]), torch.tensor([0.2, 0.4, 0.7])
    other = copy.deepcopy(model)
    other.config.image_mean, other.config.image_std = mean.tolist(), std.tolist()
    by_hand = torch.stack([(frames[..., c] / 255 - mean[c]) / std[c] for c in range(3)], 1)
    close(other.encode_frames(frames), model.encode_frames(by_hand))


@torch.no_grad()
def test_the_class_token_is_dropped_where_the_configuration_says(tokenizers):
    """The Q-Former sees it either way; context and content only where it is kept."""
    dropped, kept = (small_model(*tokenizers, drop_cls=drop, content="all") for drop in (True, False))
    features = dropped.encode_frames(random_frames(2))
    with_cls, without = (m.frame_tokens(features, QUESTION) for m in (kept, dropped))
    assert torch.equal(with_cls.content, features) and torch.equal(without.content, features[:, 1:])
    assert with_cls.attention.shape[-1] == 17 and without.attention.shape[-1] == 16
    moved = features.clone()
    moved[:, 0] += torch.linspace(-2, 2, 24)
    assert not torch.allclose(dropped.frame_tokens(moved, QUESTION).context, without.context, atol=1e-4)
    assert kept.config.n_content() == 17 and dropped.config.n_content() == 16


@torch.no_grad()
def test_the_norm_feeds_the_text_decoder_only(tokenizers):
    normed, plain = (small_model(*tokenizers, vision_norm=norm, content="all") for norm in (True, False))
    plain.load_state_dict({n: t for n, t in normed.state_dict().items() if "vision_norm" not in n}, strict=True)
    features = normed.encode_frames(random_frames(2))
    a, b = normed.frame_tokens(features, QUESTION), plain.frame_tokens(features, QUESTION)
    assert torch.equal(a.content, b.content) and not torch.allclose(a.context, b.context, atol=1e-4)
    ids, mask = (x.expand(2, -1) for x in normed.question_ids([QUESTION]))
    queries = normed.text_decoder(normed.vision_norm(features), ids, mask)
    close(a.context, normed.context_attention(queries, features[:, 1:])[0])


@pytest.mark.parametrize("shape", [(2, 3, 28, 27), (2, 3, 56, 56), (3, 28, 28), (2, 1, 28, 28), (1, 2, 3, 28, 28)])
def test_frames_of_another_size(model, shape):
    with pytest.raises(ValueError, match=r"frames of shape .*expected \(T, 3, 28, 28\)"):
        model.encode_frames(torch.zeros(shape))


def test_bytes_of_another_size(model):
    with pytest.raises(ValueError, match=r"expected \(T, 3, 28, 28\)"):
        model.encode_frames(random_frames(2, size=30))


@pytest.mark.parametrize("none", [torch.zeros(0, 3, 28, 28), random_frames(0)])
def test_no_frames(model, none):
    with pytest.raises(ValueError, match="no frames"):
        model.encode_frames(none)


def test_a_clip_without_frames_among_others(model):
    ids, mask = model.question_ids([QUESTION, QUESTION])
    with pytest.raises(ValueError, match="clip 1 has no frames"):
        model(
            torch.tensor([[5, IMAGE_SLOT]] * 2),
            frames=[random_frames(2), random_frames(0)],
            question_ids=ids,
            question_mask=mask,
            clip_of=torch.tensor([0, 1]),
        )


def test_without_tokenizer_the_way_out_is_named(own_model):
    own_model.question_tokenizer = None
    with pytest.raises(ValueError, match="llamavid_kit.load"):
        own_model.frame_tokens(torch.zeros(1, 17, 24), QUESTION)


# --- training path


def batch_of(model, turns, clip_of):
    tokenizer = model.tokenizer
    texts = [supervised(tokenizer, "plain", [(human_turn(q), a)]) for q, a in turns]
    longest = max(len(i) for i, _ in texts)
    ids = torch.tensor([i + [0] * (longest - len(i)) for i, _ in texts])
    labels = torch.tensor([y + [IGNORE] * (longest - len(y)) for _, y in texts])
    mask = torch.tensor([[1] * len(i) + [0] * (longest - len(i)) for i, _ in texts])
    question_ids, question_mask = model.question_ids([q for q, _ in turns])
    return {
        "input_ids": ids,
        "labels": labels,
        "attention_mask": mask,
        "question_ids": question_ids,
        "question_mask": question_mask,
        "clip_of": torch.tensor(clip_of),
    }


@torch.no_grad()
def test_training_path_equals_the_three_steps(model):
    """Two clips of different length, three questions about them, the same logits and loss as step by step."""
    turns, clip_of = [(QUESTION, "Red"), (OTHER, "A car."), (OTHER, "Two people.")], [1, 0, 1]
    clips = [random_frames(2, seed=1), random_frames(5, seed=2)]
    batch = batch_of(model, turns, clip_of)
    trained = model(frames=clips, **batch)
    from_features = model(features=[model.encode_frames(clip) for clip in clips], **batch)
    close(from_features.logits, trained.logits, atol=1e-4)
    visual = [[model.frame_tokens(model.encode_frames(clips[c]), q)] for (q, _), c in zip(turns, clip_of, strict=True)]
    text = {n: batch[n] for n in ("input_ids", "labels", "attention_mask")}
    stepped = model(visual=visual, **text)
    close(trained.logits, stepped.logits, atol=1e-4)
    close(trained.loss, stepped.loss)
    as_pairs = model(visual=[[(t.context, t.content) for t in sample] for sample in visual], **text)
    assert torch.equal(as_pairs.logits, stepped.logits)
    answers = batch["labels"] != IGNORE
    log_p = stepped.logits.log_softmax(-1)
    rows = []
    for i, (question, answer) in enumerate(turns):  # the loss by hand: each answer token from the position before it
        ids = tokenize(model.tokenizer, f"USER: <image>\n{question} ASSISTANT: {answer}</s>")
        first = len(open_prompt(model.tokenizer, "plain", question))
        shift = 2 * len(clips[clip_of[i]]) - 1
        rows += [log_p[i, k + shift - 1, ids[k]] for k in range(first, len(ids))]
    assert len(rows) == answers.sum()
    close(stepped.loss, -sum(rows) / len(rows))


# Trained or not, their gradient is exactly 0: a bias of keys cancels in the softmax; the text half of the last layer
# is computed and not used.
DEAD = ("key_projector.bias", "attention.key.bias", "encoder.layer.2.intermediate.", "encoder.layer.2.output.")


def test_every_parameter_gets_a_gradient(own_model):
    batch = batch_of(own_model, [(QUESTION, "Red"), (OTHER, "A car.")], [0, 0])
    own_model(frames=[random_frames(3)], **batch).loss.backward()
    largest = {n: 0.0 if p.grad is None else float(p.grad.abs().max()) for n, p in own_model.named_parameters()}
    zero = {n for n, size in largest.items() if size < 2e-6}
    dead = {n for n, _ in own_model.named_parameters() if any(part in n for part in DEAD)}
    last = "text_decoder.qformer.encoder.layer.2."
    assert len([n for n in dead if n.startswith(last) and "key" not in n]) == 6
    assert zero == dead, f"no gradient: {sorted(zero - dead)}; alive after all: {sorted(dead - zero)}"


# --- generation


def greedy(model, question, tokens, n):
    """One token at a time, no cache, no padding."""
    embeds, _, _ = model.splice(torch.tensor([open_prompt(model.tokenizer, "plain", question)]), [[tokens]])
    new = []
    for _ in range(n):
        logits = model.language_model(inputs_embeds=embeds).logits[0, -1]
        new.append(int(logits.argmax()))
        embeds = torch.cat([embeds, model.get_input_embeddings()(torch.tensor([[new[-1]]]))], 1)
    return new


@torch.no_grad()
def test_a_batch_of_clips_equals_one_by_one(model):
    """Clips of 1, 4 and 9 frames: left padding and its mask do not show in any reply."""
    clips = [random_tokens(model, n, seed=n) for n in (1, 4, 9)]
    ids = torch.tensor([open_prompt(model.tokenizer, "plain", QUESTION)] * 3)
    options = {"do_sample": False, "max_new_tokens": 8, "min_new_tokens": 8, "eos_token_id": -1, "pad_token_id": 0}
    together = model.generate(ids, visual=[[c] for c in clips], **options)
    alone = [greedy(model, QUESTION, c, 8) for c in clips]
    assert together.tolist() == alone
    assert len(set(map(tuple, alone))) == 3  # the replies depend on the clip
    assert model.generate(input_ids=ids[:1], visual=[[clips[0]]], **options).tolist() == alone[:1]


@torch.no_grad()
def test_generation_without_a_clip_is_the_language_models(model):
    ids = torch.tensor([[1, 300, 301, 302]])
    options = {"do_sample": False, "max_new_tokens": 4, "eos_token_id": -1, "pad_token_id": 0}
    expected = model.language_model.generate(ids, attention_mask=torch.ones_like(ids), **options)
    assert torch.equal(model.generate(ids, attention_mask=torch.ones_like(ids), **options), expected)


@torch.no_grad()
def test_the_question_is_no_state(own_model):
    """A, B, A: the third answer is the first, and no tensor of the model has moved."""
    before = snapshot(own_model)
    features = own_model.encode_frames(random_frames(3))

    def answer(question):
        tokens = own_model.frame_tokens(features, question)
        ids = torch.tensor([open_prompt(own_model.tokenizer, "plain", question)])
        return tokens, own_model(ids, visual=[[tokens]]).logits

    (first, logits), (other, _), (again, logits_again) = answer(QUESTION), answer(OTHER), answer(QUESTION)
    assert torch.equal(first.context, again.context) and torch.equal(logits, logits_again)
    assert torch.equal(first.content, other.content) and not torch.allclose(first.context, other.context, atol=1e-3)
    assert_same(before, own_model)


# --- on disk


def test_visual_tokens_of_any_precision_enter_in_the_models(own_model):
    """The language model may be bfloat16 while the projectors are not, and the reverse."""
    own_model.language_model.to(torch.bfloat16)
    tokens = random_tokens(own_model, 2)
    embeds, _, _ = own_model.splice(torch.tensor([[5, IMAGE_SLOT]]), [[VisualTokens(tokens.context, tokens.content)]])
    assert embeds.dtype == torch.bfloat16
