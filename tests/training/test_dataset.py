"""Guards batches: each item its own clip and answer, the same loss from frames as from cached tokens, padding."""

import random

import pytest
import torch

from llamavid_kit.data.conversation import training_text
from llamavid_kit.data.prompt import IGNORE, supervised
from llamavid_kit.data.video import Video
from llamavid_kit.model.text_decoder import tokenize_questions
from llamavid_kit.training.dataset import ClipCollate, ClipPairs, TokenPairs, collate_text


def test_items_are_supervised_pairs_with_their_own_tokens(own_model, data):
    pairs, tokens = data
    dataset = TokenPairs(own_model, pairs, tokens)
    assert len(dataset) == 5
    for k in range(5):
        ids, labels, visual = dataset[k]
        expected = supervised(own_model.tokenizer, "plain", [(f"<image>\n{pairs[k].question}", pairs[k].answer)])
        assert (ids, labels) == expected and visual is tokens[k]


def test_collate_pads_on_the_right():
    batch = collate_text([([5, 6, 7], [IGNORE, 6, 7]), ([8], [8])], pad_id=3)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 3, 3]]
    assert batch["labels"].tolist() == [[IGNORE, 6, 7], [8, IGNORE, IGNORE]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_frames_and_cached_tokens_give_the_same_loss(own_model, pairs, clips, tmp_path):
    """Both ways to feed a clip are one computation; the batch holds each clip's own frames and question."""
    own_model.config.template = "imgsp_v1"
    dataset = ClipPairs(own_model, pairs, root=clips, fps=2)
    batch = ClipCollate(own_model)([dataset[k] for k in range(3)])
    frames = [len(Video(p.video_path(clips)).sample(2).indices) for p in pairs]
    assert [len(f) for f in batch["frames"]] == frames == [2, 4, 6]
    ids, mask = tokenize_questions(own_model.question_tokenizer, [p.question for p in pairs])
    assert torch.equal(batch["question_ids"], ids) and torch.equal(batch["question_mask"], mask)
    with torch.no_grad():
        through_tower = own_model(**batch).loss
        tokens = [
            own_model.frame_tokens(own_model.encode_frames(f), p.question)
            for f, p in zip(batch["frames"], pairs, strict=True)
        ]
        text = {n: batch[n] for n in ("input_ids", "labels", "attention_mask")}
        cached = own_model(**text, visual=[[t] for t in tokens]).loss
    assert through_tower.item() == pytest.approx(cached.item(), abs=1e-5)
    token_items = TokenPairs(own_model, pairs, tokens)
    assert [token_items[k][:2] for k in range(3)] == [dataset[k][:2] for k in range(3)]


def test_the_text_of_a_pair_is_one_turn(own_model, pairs, clips):
    own_model.config.template = "plain_guided"
    ids, labels, question, _ = ClipPairs(own_model, pairs, root=clips, fps=1)[1]
    text = training_text(own_model.tokenizer, "plain_guided", pairs[1].messages(), rng=random.Random(0))
    assert (ids, labels, (question,)) == (text.ids, text.labels, text.questions)
