"""One list for all arms: a clip that one of them cannot use is left out for all, with its reason, before the first."""

import json
from dataclasses import replace

import pytest
from colour_clips import TEST, make_clips
from small import LABELS, QUESTION, small_model

from llamavid_kit.data.video import Video
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.clip_list import fix_clip_list
from llamavid_kit.experiments.tasks import ClosedQuestion
from llamavid_kit.model import answering
from llamavid_kit.model.answering import LlamaVidAnswerer
from llamavid_kit.model.frame_cache import FrameCache

CONFIG = AblationConfig(model="small", source="colours", fps=(1, 4), max_new_tokens=4)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    return root, make_clips(root)


def fix(clips, tokenizers, out, *, finetune=True, pairs=None, **models):
    """The list of all arms of the small model, or of `models`."""
    ours = small_model(*tokenizers)
    models = models or {"small": LlamaVidAnswerer(ours, FrameCache(ours, out / "frame_tokens"))}
    config = AblationConfig(model=tuple(models), source="colours", fps=(1, 4), finetune=finetune, max_new_tokens=4)
    out.mkdir(exist_ok=True)
    question = ClosedQuestion(QUESTION, LABELS)
    return fix_clip_list(pairs or clips[1], clips[0], out, config, config.arms(), models, question)


def test_what_cannot_be_used_is_listed_with_its_reason(clips, tokenizers, tmp_path):
    clip_list = fix(clips, tokenizers, tmp_path)
    reasons = {row["clip"]: (row["split"], row["reason"]) for row in clip_list["excluded"]}
    assert set(reasons) == {"empty", "torn", "missing", "long", "trainbad"}
    assert reasons["trainbad"][0] == "train" and {reasons[n][0] for n in ("empty", "torn", "long")} == {"test"}
    assert "240 frames at 4 fps need" in reasons["long"][1] and "fps <=" in reasons["long"][1]
    for name in ("empty", "torn", "missing", "trainbad"):
        assert f"{name}.mp4" in reasons[name][1] and str(clips[0]) not in reasons[name][1]
    assert clip_list == json.loads((tmp_path / "clips.json").read_text())
    assert [row["id"] for row in clip_list["test"]] == TEST
    assert (clip_list["question"], clip_list["labels"], clip_list["source"]) == (QUESTION, list(LABELS), "colours")


def test_a_list_that_was_spoilt_is_named_or_made_anew(clips, tokenizers, tmp_path):
    whole = fix(clips, tokenizers, tmp_path)
    path = tmp_path / "clips.json"
    spoilt = json.loads(path.read_text())
    spoilt["test"][0]["more"] = 1
    del spoilt["test"][1]["choices"][0]
    path.write_text(json.dumps(spoilt))
    assert fix(clips, tokenizers, tmp_path) == whole == json.loads(path.read_text())
    spoilt["test"][0]["events_seen"] = None
    path.write_text(json.dumps(spoilt))
    with pytest.raises(ValueError, match=r"clips.json, test\[0\], events_seen: None, expected an object; give another"):
        fix(clips, tokenizers, tmp_path)


def test_each_clip_is_decoded_once(clips, tokenizers, tmp_path, monkeypatch):
    """The fastest rate first: the slow arm's frames are among its frames. No training clip without training."""
    decoded, frames = [], Video.frames
    monkeypatch.setattr(Video, "frames", lambda self, at: decoded.append(self.path.stem) or frames(self, at))
    clip_list = fix(clips, tokenizers, tmp_path, finetune=False)
    assert sorted(decoded) == TEST
    assert {row["split"] for row in clip_list["excluded"]} == {"test"} and clip_list["train"] == []
    monkeypatch.setattr(Video, "frames", lambda *_: pytest.fail("decoded again"))
    assert fix(clips, tokenizers, tmp_path, finetune=False) == clip_list


def test_room_is_kept_for_the_longest_choice(clips, tokenizers, tmp_path, monkeypatch):
    """A choice may be longer than the longest reply allowed."""
    model, prompts = small_model(*tokenizers), []
    monkeypatch.setattr(answering, "check_fits", lambda *_, n_prompt, **__: prompts.append(n_prompt))
    one = LlamaVidAnswerer(model, FrameCache(model, tmp_path / "frame_tokens"))
    config = AblationConfig(model="small", fps=(1,), finetune=False, max_new_tokens=1)
    question = ClosedQuestion(QUESTION, LABELS)
    fix_clip_list(clips[1][:2], clips[0], tmp_path, config, config.arms(), {"small": one}, question)
    opened = answering.open_prompt(model.tokenizer, "plain", QUESTION)
    assert prompts[0] == len(opened) + max(len(model.tokenizer(f"{label}</s>").input_ids) - 1 for label in LABELS)
    assert prompts[0] > len(opened) + 2


class Picky:
    """A model without `prepare` that refuses by name; notes what it was asked to make room for."""

    def __init__(self, name: str, *refused: str):
        self.name, self.refused, self.looks = name, refused, []

    def fits(self, clip, question, choices, view, *, max_new_tokens):
        self.looks.append((clip.path.stem, view.fps, tuple(choices), max_new_tokens))
        if clip.path.stem in self.refused:
            raise ValueError(f"{self.name} does not like {clip.path.name}")


def test_every_model_is_asked_about_every_clip_and_rate_and_each_may_refuse(clips, tokenizers, tmp_path, monkeypatch):
    """Without `prepare` the frames are decoded, so that what cannot be read is known before the first arm."""
    first, second = Picky("first", "t1"), Picky("second", "t3")
    decoded, frames = [], Video.frames
    monkeypatch.setattr(Video, "frames", lambda self, at: decoded.append((self.path.stem, len(at))) or frames(self, at))
    pairs = [pair for pair in clips[1] if pair.id != "long"]
    clip_list = fix(clips, tokenizers, tmp_path, finetune=False, pairs=pairs, first=first, second=second)
    reasons = {row["clip"]: row["reason"] for row in clip_list["excluded"]}
    assert reasons["t1"] == "first does not like t1.mp4" and reasons["t3"] == "second does not like t3.mp4"
    assert set(reasons) == {"t1", "t3", "empty", "torn", "missing"}
    assert [row["id"] for row in clip_list["test"]] == ["t0", "t2", "t4"]
    assert {look for look in second.looks if look[0] == "t4"} == {("t4", fps, LABELS, 4) for fps in (1, 4)}
    assert ("t1", 4, LABELS, 4) in first.looks and not [look for look in second.looks if look[0] == "t1"]
    assert sorted(n for name, n in decoded if name == "t0") == [2, 2, 6, 6]  # either model, either rate


def test_an_event_after_the_clips_end_is_named_and_one_that_reaches_beyond_is_seen_to_the_end(
    clips, tokenizers, tmp_path
):
    """The clip lasts 1.75 s: nobody can see 50 to 60 s; of 1.6 s to 9 s only the frames that there are."""
    pairs = clips[1]
    outside, beyond = (replace(p, events=(span,)) for p, span in zip(pairs[:2], ((50, 60), (1.6, 9)), strict=True))
    clip_list = fix(clips, tokenizers, tmp_path, pairs=[outside, beyond], finetune=False)
    (left_out,) = clip_list["excluded"]
    assert left_out["reason"].startswith("t0: the event from 50 to 60 s begins when the clip, 1.5 s long, is over")
    (row,) = clip_list["test"]
    assert row["events_seen"] == {"1": 0, "2": 0, "3": 1, "6": 1} and (row["n_frames"] / row["fps"]) == 1.75
