"""Guards that a video benchmark looks at each clip once, and that nobody can tell it from the replies."""

import json
from pathlib import Path

import pytest
from made_up_video_benchmarks import clip, video_chatgpt, write_json

from llamavid_kit.data.video import Video
from llamavid_kit.evaluation.benchmarks import benchmark, clips
from llamavid_kit.evaluation.benchmarks.clips import AHEAD
from llamavid_kit.evaluation.benchmarks.run import REPLIES, answer
from llamavid_kit.model.answering import ClipModel, LlamaVidAnswerer, View
from llamavid_kit.model.ask import Reply
from llamavid_kit.model.frame_cache import FrameCache

QUESTIONS = ("what fills the picture?", "what is moving?", "how many blocks?", "is it red?")


OPTIONS = {"name": "m", "settings": {}, "fps": 2.0}


@pytest.fixture
def msvd(tmp_path):
    """Four questions about each of three clips; those about one clip never lie side by side. (items, truth by order)"""
    for k in range(3):
        clip(tmp_path / "data" / "video", f"vid{k}.mp4", k)
    rows = [
        {"id": 10 * n + k, "video_id": k, "question": question, "answer": "x"}
        for n, question in enumerate(QUESTIONS)
        for k in (2, 0, 1)
    ]
    write_json(tmp_path / "data" / "test_qa.json", rows)
    return benchmark("msvd"), benchmark("msvd").load(tmp_path / "data")


@pytest.fixture
def counted(model, monkeypatch):
    """(frames decoded in each call, frames in each vision forward)."""
    decoded, encoded, frames, encode = [], [], Video.frames, model.encode_frames
    monkeypatch.setattr(Video, "frames", lambda self, at: decoded.append(len(at)) or frames(self, at))
    monkeypatch.setattr(model, "encode_frames", lambda x, **k: encoded.append(len(x)) or encode(x, **k))
    return decoded, encoded


class OneByOne:
    """A `ClipModel` that looks at the clip again for every question."""

    def __init__(self, answerer):
        self.answerer = answerer

    def watch(self, clip, questions, *, fps):
        return [self.answerer.generate([clip], question, View(fps=fps))[0] for question in questions]


class Generates:
    """A `VideoModel` that can be asked one question at a time and no more."""

    def __init__(self, answerer):
        self.generate = answerer.generate


class Says:
    """A `ClipModel` that names clip and question; dies after so many clips."""

    def __init__(self, *, dies_after: int | None = None):
        self.calls, self.dies_after = [], dies_after

    def watch(self, clip, questions, *, fps):
        if self.dies_after is not None and len(self.calls) >= self.dies_after:
            raise KeyboardInterrupt
        self.calls.append((clip.path.name, *questions))
        return [Reply(f"{clip.path.stem}: {question}", (0.0,)) for question in questions]


def lines_of(folder):
    head, *lines = map(json.loads, (folder / REPLIES).read_text().splitlines())
    return head, lines


def test_each_clip_is_decoded_and_encoded_once(msvd, model, tmp_path, counted):
    """And the replies are those of asking one question after the other, in the items' order."""
    bench, items = msvd
    answerer = LlamaVidAnswerer(model, FrameCache(model), max_new_tokens=6)
    one_by_one = [answerer.generate([Video(i.media)], i.prompt, View(2))[0].text for i in items]
    decoded, encoded = counted
    assert decoded == encoded == [2] * 12
    decoded.clear(), encoded.clear()
    path = answer(bench, items, answerer, tmp_path / "once", **OPTIONS)
    assert decoded == encoded == [2] * 3
    replies = [(line["id"], line["reply"]) for line in lines_of(path.parent)[1]]
    assert replies == [(item.id, reply) for item, reply in zip(items, one_by_one, strict=True)]
    assert len(set(one_by_one)) > 3  # or another clip's reply would not be noticed
    assert [p.name for p in path.parent.iterdir()] == [REPLIES]
    decoded.clear(), encoded.clear()
    again = answer(bench, items, OneByOne(answerer), tmp_path / "each", **OPTIONS)
    assert decoded == encoded == [2] * 12 and again.read_bytes() == path.read_bytes()


def test_a_model_without_watch_is_asked_question_by_question(msvd, model, tmp_path, counted):
    """Any `VideoModel` takes a video benchmark: the run's longest reply is said to it, its file is the same."""
    bench, items = msvd
    answerer, options = LlamaVidAnswerer(model, FrameCache(model), 6), OPTIONS | {"settings": {"max_new_tokens": 6}}
    path = answer(bench, items, answerer, tmp_path / "watches", **options)
    counted[0].clear(), counted[1].clear()
    generates = Generates(LlamaVidAnswerer(model, FrameCache(model), max_new_tokens=1))
    assert not isinstance(generates, ClipModel)
    again = answer(bench, items, generates, tmp_path / "generates", **options)
    assert counted == ([2] * 12, [2] * 12) and again.read_bytes() == path.read_bytes()


def test_the_same_question_twice_about_a_clip(tmp_path, model, counted):
    """Video-ChatGPT asks about a clip in three files, and has rows that stand there twice."""
    bench = benchmark("video_chatgpt")
    items = bench.load(video_chatgpt(tmp_path / "data"))
    answerer = LlamaVidAnswerer(model, FrameCache(model), max_new_tokens=6)
    expected = [answerer.generate([Video(i.media)], i.prompt, View(2))[0] for i in items]
    counted[0].clear(), counted[1].clear()
    path = answer(bench, items, answerer, tmp_path / "out", **OPTIONS)
    assert counted == ([2, 2], [2, 2])
    assert [line["reply"] for line in lines_of(path.parent)[1]] == [reply.text for reply in expected]
    twice = answerer.watch(Video(items[0].media), [items[0].prompt] * 2, fps=2)
    assert twice == [expected[0]] * 2 and isinstance(answerer, ClipModel)


def test_a_run_that_was_killed_asks_no_clip_twice(msvd, tmp_path):
    bench, items = msvd
    whole = answer(bench, items, Says(), tmp_path / "whole", **OPTIONS).read_bytes()
    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        answer(bench, items, Says(dies_after=2), out, **OPTIONS)
    ahead = (out / REPLIES).with_suffix(AHEAD)
    assert [line["id"] for line in lines_of(out)[1]] == [i.id for i in items[:2]]  # the third clip's turn is next
    assert len(ahead.read_text().splitlines()) == 1 + 8
    with ahead.open("a") as file:
        file.write('{"id": "half a li')
    rest = Says()
    answer(bench, items, rest, out, **OPTIONS)
    assert rest.calls == [("vid1.mp4", *QUESTIONS)]
    assert (out / REPLIES).read_bytes() == whole and not ahead.exists()
    last = Says()
    answer(bench, items, last, out, **OPTIONS)
    assert not last.calls and [p.name for p in out.iterdir()] == [REPLIES]


def test_killed_between_the_two_files(msvd, tmp_path, monkeypatch):
    """All is answered and nothing has its place yet: the next run asks nothing."""
    bench, items = msvd
    whole = answer(bench, items, Says(), tmp_path / "whole", **OPTIONS).read_bytes()
    remove = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name.endswith(clips.AHEAD):
            raise KeyboardInterrupt
        remove(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(clips, "_in_turn", lambda *_: 0)
        patch.setattr("pathlib.Path.unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            answer(bench, items, Says(), tmp_path / "cut", **OPTIONS)
    assert lines_of(tmp_path / "cut")[1] == []
    rest = Says()
    answer(bench, items, rest, tmp_path / "cut", **OPTIONS)
    assert not rest.calls and (tmp_path / "cut" / REPLIES).read_bytes() == whole


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda lines: [lines[0], *lines[2:]], "was edited since: .* 1 missing .*put it back, or delete it"),
        (lambda lines: [*lines[:2], *lines[1:]], "was edited since: .* 1 doubled"),
        (lambda lines: [lines[0], '{"id": "20"}', *lines[2:]], "line 2 has no id and reply, both text"),
        (lambda lines: [lines[0], '{"id": "20", "reply": null}', *lines[2:]], "line 2 has no id and reply, both text"),
        (lambda lines: [lines[0], '{"id": 20, "reply": "x"}', *lines[2:]], "line 2 has no id and reply, both text"),
    ],
)
@pytest.mark.parametrize("file", [REPLIES, "replies.ahead.jsonl"])
def test_an_edited_file_is_noticed_before_anything_is_asked(file, spoil, message, msvd, tmp_path):
    """What waits in the other file may miss a line, for it is asked again; nothing else."""
    bench, items = msvd
    with pytest.raises(KeyboardInterrupt):
        answer(bench, items, Says(dies_after=2), tmp_path / "cut", **OPTIONS)
    path, rest = tmp_path / "cut" / file, Says()
    path.write_text("\n".join(spoil(path.read_text().split("\n"))))
    if "edited" in message and file != REPLIES:
        answer(bench, items, rest, tmp_path / "cut", **OPTIONS)
        assert len(rest.calls) <= 2 and [line["id"] for line in lines_of(tmp_path / "cut")[1]] == [i.id for i in items]
        return
    with pytest.raises(ValueError, match=message):
        answer(bench, items, rest, tmp_path / "cut", **OPTIONS)
    assert not rest.calls


def test_clips_that_cannot_be_read_are_named_after_all_others_and_can_be_mended(msvd, tmp_path):
    """The run goes on with the whole file, asks about nothing else, and gives what a whole run gives."""
    bench, items = msvd
    whole = answer(bench, items, Says(), tmp_path / "whole", **OPTIONS).read_bytes()
    out, file = tmp_path / "out", items[0].media
    good = file.read_bytes()
    file.write_bytes(good[:300])
    first = Says()
    with pytest.raises(ValueError, match=rf"1 of 3 clips .*\n  4 questions: {file}: not readable.*\n.*put whole files"):
        answer(bench, items, first, out, **OPTIONS)
    assert len(first.calls) == 2 and not lines_of(out)[1]  # the torn clip's turn is the first
    file.write_bytes(good)
    rest = Says()
    answer(bench, items, rest, out, **OPTIONS)
    assert rest.calls == [(file.name, *QUESTIONS)] and (out / REPLIES).read_bytes() == whole


@pytest.mark.parametrize("done", [False, True])
def test_another_file_under_an_answered_clips_name_is_noticed(done, msvd, tmp_path):
    bench, items = msvd
    if done:
        answer(bench, items, Says(), tmp_path / "out", **OPTIONS)
    else:
        with pytest.raises(KeyboardInterrupt):
            answer(bench, items, Says(dies_after=1), tmp_path / "out", **OPTIONS)
    items[0].media.write_bytes(items[0].media.read_bytes() + b"more")
    rest = Says()
    with pytest.raises(ValueError, match=rf"{items[0].media}: changed since questions about them were answered in"):
        answer(bench, items, rest, tmp_path / "out", **OPTIONS)
    assert not rest.calls


def test_another_rate_is_another_run(msvd, tmp_path):
    """Also where all that was answered still waits for its turn."""
    bench, items = msvd
    with pytest.raises(KeyboardInterrupt):
        answer(bench, items, Says(dies_after=1), tmp_path / "out", **OPTIONS)
    (tmp_path / "out" / REPLIES).write_text(json.dumps({"run": {}}) + "\n")
    with pytest.raises(ValueError, match=r"replies\.ahead\.jsonl belongs to another run: fps 2\.0, now 1\.0; give"):
        answer(bench, items, Says(), tmp_path / "out", **OPTIONS | {"fps": None})
