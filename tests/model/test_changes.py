"""Guards the changes of an arm: each against a second way to make it, its receipt, its room, and what is refused."""

import numpy as np
import pytest
import torch
from small import LABELS, QUESTION, small_model, write_clip

from llamavid_kit.data.prompt import open_prompt
from llamavid_kit.data.video import Video
from llamavid_kit.model.answering import LlamaVidAnswerer, View, choice_log_likelihood, generate_texts
from llamavid_kit.model.ask import Receipt
from llamavid_kit.model.changes import CHANGES, change_file, change_words, parse_change
from llamavid_kit.model.frame_cache import FrameCache

OTHER = "What happens in the video?"
ALL = (
    "each:3",
    "pool:3",
    "no_context",
    "mean_patch",
    f"context:{OTHER}",
    "no_content",
    "guided",
    "shuffled:0",
    "blank",
)
ALL = (*ALL, "no_frames")
S = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # of the frames that 4 fps picks


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return Video(write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", seconds=2.0))


@pytest.fixture
def answerer(model, tmp_path):
    return LlamaVidAnswerer(model, FrameCache(model, tmp_path / "cache"), max_new_tokens=5)


@torch.no_grad()
def by_hand(model, video, change):
    """The rows (T', tokens a frame, D) of a clip at 4 fps, from its features and the model's parts."""
    pixels = model.config.pixel_values(video.frames(video.sample(4).indices))
    if change == "blank":
        pixels = torch.zeros_like(pixels)
    features = model.encode_frames(pixels)
    kind, value = parse_change(change)
    own, patches = model.frame_tokens(features, QUESTION), model.patches(features)
    context, content = own.context, own.content
    if kind == "mean_patch":
        context = patches.mean(1)
    if kind == "context":
        context = model.frame_tokens(features, value).context
    if kind == "guided":
        content = torch.einsum("tmn,tnc->tc", own.attention, patches)[:, None] / own.attention.shape[1]
    if kind == "pool":
        context, content = (
            torch.stack([sum(x[k : k + value]) / len(x[k : k + value]) for k in range(0, 8, value)])
            for x in (context, content)
        )
    rows = [model.context_attention.value_projector(context)[:, None], model.content_projector(content)]
    if kind == "no_context":
        rows = rows[1:]
    if kind == "no_content":
        rows = rows[:1]
    rows = torch.cat(rows, 1)
    if kind == "each":
        rows = torch.stack([row for row in rows for _ in range(value)])
    return rows[:0] if kind == "no_frames" else rows


@pytest.mark.parametrize("change", [change for change in ALL if change != "shuffled:0"])
def test_equals_the_change_made_by_hand(model, answerer, video, change):
    expected = by_hand(model, video, change)
    for _ in range(2):  # from the cache the second time
        with torch.no_grad():
            rows = model.project(answerer.tokens(video, QUESTION, View(4, change=change))[0])
        torch.testing.assert_close(rows, expected.flatten(0, 1), atol=1e-4, rtol=1e-4)
    plain = by_hand(model, video, None).flatten(0, 1)
    assert rows.shape != plain.shape or not torch.allclose(rows, plain, atol=1e-2)


def test_shuffled_frames_are_the_same_in_another_order(model, answerer, video, tmp_path):
    """Another order for another seed and for another clip, the same for a copy under another name."""
    plain, _, _ = answerer.tokens(video, QUESTION, View(4))
    copy = tmp_path / "b.mp4"
    copy.write_bytes(video.path.read_bytes())
    others = [Video(copy), Video(write_clip(tmp_path / "c.mp4", seconds=2.0, seed=1))]
    orders = []
    for clip, seed in ((video, 0), (video, 1), *((other, 0) for other in others)):
        tokens, seconds, _ = answerer.tokens(clip, QUESTION, View(4, change=f"shuffled:{seed}"))
        assert sorted(seconds) == list(S)
        orders.append(seconds)
        if clip is video:
            assert torch.equal(tokens.context, plain.context[[S.index(s) for s in seconds]])
            assert torch.equal(tokens.content, plain.content[[S.index(s) for s in seconds]])
    assert orders[0] == orders[2] and len({*orders, S}) == 4


@pytest.mark.parametrize(
    ("change", "receipt", "seconds"),
    [
        (None, Receipt(8, 8, (28, 28), 16, ()), S),
        ("each:3", Receipt(8, 24, (28, 28), 48, (), n_doubled=16), S),
        ("pool:3", Receipt(8, 8, (28, 28), 6, ()), S),
        ("no_context", Receipt(8, 8, (28, 28), 8, ()), S),
        ("mean_patch", Receipt(8, 8, (28, 28), 16, ()), S),
        (f"context:{OTHER}", Receipt(8, 8, (28, 28), 16, ()), S),
        ("no_content", Receipt(8, 8, (28, 28), 8, ()), S),
        ("guided", Receipt(8, 8, (28, 28), 16, ()), S),
        ("blank", Receipt(8, 8, (28, 28), 16, (), n_doubled=7, n_dropped=8), ()),
        ("no_frames", Receipt(8, 0, (28, 28), 0, (), n_dropped=8), ()),
    ],
)
def test_replies_are_to_changed_tokens_and_the_receipt_says_so(model, answerer, video, change, receipt, seconds):
    view = View(4, change=change)
    tokens, _, _ = answerer.tokens(video, QUESTION, view)
    answerer.prepare(video, [QUESTION], [view])
    (written,), (chosen,) = (
        answerer.generate([video], QUESTION, view),
        answerer.choose([video], QUESTION, LABELS, view),
    )
    for reply in (written, chosen):
        assert (reply.receipt, reply.timestamps_s, reply.n_visual) == (receipt, seconds, receipt.n_tokens)
    assert written.text == generate_texts(model, QUESTION, [tokens], max_new_tokens=5)[0]
    expected = choice_log_likelihood(model, QUESTION, [tokens], LABELS)[0]
    assert list(chosen.log_likelihood.values()) == pytest.approx(expected, abs=1e-4)
    assert receipt.tokens_a_frame == (receipt.n_tokens / receipt.n_arrived if receipt.n_arrived else 0)


def test_nothing_of_one_change_is_in_the_cache_of_another(model, answerer, video):
    """Asked in turn from one cache, each gives what an empty cache gives; also with four content tokens a frame."""
    for content in (None, "grid:2"):
        views = [View(4, content, change=change) for change in (None, *ALL)]
        answerer.prepare(video, [QUESTION], views)
        for view in views:
            alone = LlamaVidAnswerer(model, FrameCache(model)).tokens(video, QUESTION, view)[0]
            tokens = answerer.tokens(video, QUESTION, view)[0]
            torch.testing.assert_close(tokens.context, alone.context, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(tokens.content, alone.content, atol=1e-5, rtol=1e-5)
        a_frame = {view.change: answerer.tokens(video, QUESTION, view)[0].n_tokens / 8 for view in views}
        n = 4 if content else 1
        assert a_frame == {
            **dict.fromkeys((None, "mean_patch", f"context:{OTHER}", "shuffled:0", "blank"), 1 + n),
            **{"each:3": 3 * (1 + n), "pool:3": (1 + n) * 3 / 8, "no_context": n, "no_content": 1, "guided": 2},
            "no_frames": 0,
        }


def test_all_that_changes_need_is_prepared(model, answerer, video, monkeypatch):
    """Once a clip is prepared, no change decodes a frame."""
    views = [View(4, change=change) for change in ALL]
    answerer.prepare(video, [QUESTION], views)
    monkeypatch.setattr(Video, "frames", None)
    for view in views:
        answerer.tokens(video, QUESTION, view)
    monkeypatch.undo()
    answerer.prepare(video, [], [])


def test_room_is_counted_in_tokens_that_are_shown(tokenizers, video):
    """Of 16 tokens of frames a change leaves half, or makes three times as many; a clip fits by what it becomes."""
    model = small_model(*tokenizers)
    answerer = LlamaVidAnswerer(model, FrameCache(model))

    def fits(view, context):
        model.config.text_config.max_position_embeddings = context
        answerer.fits(video, QUESTION, (), view, max_new_tokens=1)

    n_prompt = len(open_prompt(model.tokenizer, "plain", QUESTION)) + 1
    fits(View(4, change="no_frames"), n_prompt)
    with pytest.raises(ValueError, match="shorten the question"):
        fits(View(4, change="no_frames"), n_prompt - 1)
    for change, n in ((None, 16), ("no_content", 8), ("pool:3", 6), ("each:3", 48), ("blank", 16)):
        fits(View(4, change=change), n_prompt + n)
        with pytest.raises(ValueError, match=f"8 frames at 4 fps need {n_prompt + n} tokens"):
            fits(View(4, change=change), n_prompt + n - 1)
    with pytest.raises(ValueError, match="ask with fps <= 2, cut the clip to 1 s"):  # 4 frames, each three times
        fits(View(4, change="each:3"), n_prompt + 24)


@pytest.mark.parametrize(
    "change",
    ["", "each", "each:", "each:1", "each:06", "each:-2", "pool:x", "shuffled", "shuffled:-1", "blank:1", "context",
     "context: ", "no_context:", "mean", "Blank"],
)  # fmt: skip
def test_what_is_no_change_is_refused(change):
    with pytest.raises(ValueError, match=rf"^change='{change}': expected each:N or pool:N with N >= 2, no_context, "):
        parse_change(change)


def test_words_and_files_tell_changes_apart():
    changes = [*ALL, "each:2", "shuffled:1", "context:What?", "context:What? "]
    assert {parse_change(change)[0] for change in changes} == {*CHANGES}
    files = [change_file(change) for change in changes]
    assert len({*files}) == len({change_words(change) for change in changes}) == len(changes)
    assert all(set(file) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") and len(file) < 20 for file in files)
    assert (change_words(None), change_words("each:3"), change_file("each:3")) == (
        "frames as they are",
        "each frame 3 times",
        "each3",
    )


def test_blank_frames_say_nothing_of_the_clip(model, answerer, video, tmp_path):
    other = Video(write_clip(tmp_path / "c.mp4", seconds=2.0, label="Blue", seed=1))
    a, b = (answerer.tokens(clip, QUESTION, View(4, change="blank"))[0] for clip in (video, other))
    assert torch.equal(a.context, b.context) and torch.equal(a.content, b.content) and len(a) == 8
    assert np.ptp(a.context.numpy(), 0).max() == 0
