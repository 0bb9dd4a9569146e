"""A run that is started again knows what its results depend on: what changed is answered anew or refused, by name; what
is new is added; and what lies there afterwards is, byte for byte, what a fresh run gives.
"""

import json
import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from colour_clips import TEST, make_clips
from small import LABELS, small_model, write_clip

from llamavid_kit import files
from llamavid_kit.evaluation.scoring import label_of
from llamavid_kit.experiments import resume
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.prompts import PROMPTS
from llamavid_kit.experiments.tasks import ClosedQuestion
from llamavid_kit.files import read_replies
from llamavid_kit.model.answering import LlamaVidAnswerer
from llamavid_kit.training.finetune import LoraSettings, TrainSettings

ZERO_SHOT = AblationConfig(
    model="small",
    source="colours",
    fps=(1, 4),
    finetune=False,
    batch=2,
    max_new_tokens=4,
    train=TrainSettings(batch_size=2, max_steps=2, learning_rate=5e-3),
    lora=LoraSettings(r=2, alpha=4),
)
TUNED = replace(ZERO_SHOT, finetune=True, fps=(1,), answering=("likelihood",))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    return root, make_clips(root)


@pytest.fixture(scope="module")
def runs(clips, tokenizers, tmp_path_factory):
    """A zero-shot run and a fine-tuned one, by name."""
    out = tmp_path_factory.mktemp("runs")
    for name, config in (("zero-shot", ZERO_SHOT), ("tuned", TUNED)):
        start(clips, tokenizers, out / name, config)
    return out


@pytest.fixture
def own(clips, runs, tmp_path):
    """Copies of clips and runs that a test may change."""
    root = Path(shutil.copytree(clips[0], tmp_path / "clips"))
    return (root, clips[1]), Path(shutil.copytree(runs, tmp_path / "runs"))


@pytest.fixture
def asked(monkeypatch):
    """Arm's rate and clips, of each call of the model."""
    calls = []
    for name in ("generate", "choose"):
        whole = getattr(LlamaVidAnswerer, name)

        def listen(self, videos, question, *args, whole=whole, **kwargs):
            calls.append((next(x for x in args if hasattr(x, "fps")).fps, [video.path.stem for video in videos]))
            return whole(self, videos, question, *args, **kwargs)

        monkeypatch.setattr(LlamaVidAnswerer, name, listen)
    return calls


def start(clips, tokenizers, out, config=ZERO_SHOT, model=None):
    return ablate(clips[1], root=clips[0], out=out, config=config, model=model or small_model(*tokenizers))


def arms(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "arms").iterdir())}


def same_as_fresh(clips, tokenizers, out, config, tmp_path) -> dict:
    """Arm files, clip list and numbers of the run are those of a fresh one; returns the summary."""
    fresh = start(clips, tokenizers, tmp_path / "fresh", config)
    assert arms(out) == arms(tmp_path / "fresh")
    assert (out / "clips.json").read_bytes() == (tmp_path / "fresh" / "clips.json").read_bytes()
    summary = json.loads((out / "summary.json").read_text())
    assert summary | {"seconds": 0} == fresh | {"seconds": 0}
    return summary


# --- clips


def test_a_replaced_clip_is_answered_anew(own, tokenizers, asked, caplog, tmp_path):
    clips, runs = own
    before = arms(runs / "zero-shot")
    write_clip(clips[0] / "t3.mp4", seconds=2.5, label="Blue", seed=99)
    start(clips, tokenizers, runs / "zero-shot")
    assert "clips have changed: t3 has other content" in caplog.text
    assert [clip for _, clip in asked] == [["t2", "t3"], ["t4"]] * 4  # its batch and what follows
    after = arms(runs / "zero-shot")
    for name in before:
        lines = [content.split(b"\n") for content in (before[name], after[name])]
        assert lines[0][:3] == lines[1][:3] and lines[0][4] != lines[1][4] and lines[0][5:] == lines[1][5:]
    same_as_fresh(clips, tokenizers, runs / "zero-shot", ZERO_SHOT, tmp_path)


def test_a_repaired_clip_comes_in(own, tokenizers, caplog, tmp_path):
    clips, runs = own
    write_clip(clips[0] / "torn.mp4", seconds=1.5, label="Blue", seed=7)
    summary = start(clips, tokenizers, runs / "zero-shot")
    assert "torn can be used now" in caplog.text and "torn" not in {x["clip"] for x in summary["excluded"]}
    assert {arm["n"] for arm in summary["arms"]} == {len(TEST) + 1}
    same_as_fresh(clips, tokenizers, runs / "zero-shot", ZERO_SHOT, tmp_path)


def test_a_clip_that_went_away_is_left_out(own, tokenizers, caplog, tmp_path):
    clips, runs = own
    (clips[0] / "t4.mp4").unlink()
    start(clips, tokenizers, runs / "zero-shot")
    assert "t4 is left out now (" in caplog.text
    same_as_fresh(clips, tokenizers, runs / "zero-shot", ZERO_SHOT, tmp_path)


def test_a_clip_changed_and_the_run_cut_while_it_was_answered_anew(own, tokenizers, monkeypatch, tmp_path):
    clips, runs = own
    write_clip(clips[0] / "t0.mp4", seconds=2.5, label="Blue", seed=99)
    whole = LlamaVidAnswerer.choose

    def interrupted(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr(LlamaVidAnswerer, "choose", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start(clips, tokenizers, runs / "zero-shot")
    monkeypatch.setattr(LlamaVidAnswerer, "choose", whole)
    start(clips, tokenizers, runs / "zero-shot")
    same_as_fresh(clips, tokenizers, runs / "zero-shot", ZERO_SHOT, tmp_path)


def test_unchanged_clips_are_neither_decoded_nor_asked(own, tokenizers, asked, caplog):
    clips, runs = own
    for file in clips[0].iterdir():
        file.touch()
    with caplog.at_level(logging.INFO):
        start(clips, tokenizers, runs / "zero-shot")
    assert asked == [] and "changed" not in caplog.text and "added" not in caplog.text


def test_adapters_of_other_training_clips_are_refused_until_they_are_taken_away(own, tokenizers, tmp_path):
    clips, runs = own
    before = arms(runs / "tuned")
    write_clip(clips[0] / "r6.mp4", seconds=2, label="Blue", seed=99)
    with pytest.raises(ValueError, match=r"adapters of .* were trained, clips have changed: r6 has other content; del"):
        start(clips, tokenizers, runs / "tuned", TUNED)
    assert arms(runs / "tuned") == before
    shutil.rmtree(runs / "tuned" / "finetune")
    start(clips, tokenizers, runs / "tuned", TUNED)
    name = "lora-seed0-1fps-likelihood.jsonl"
    assert arms(runs / "tuned")[name] != before[name]
    same_as_fresh(clips, tokenizers, runs / "tuned", TUNED, tmp_path)


# --- what is added


@pytest.mark.parametrize(
    "more",
    [{"fps": (2,)}, {"fps": (1, 2, 4)}, {"content": ("mean", "grid:2")}, {"frames": ("time", "train")}],
)
def test_more_values_are_more_arms(own, tokenizers, asked, caplog, tmp_path, more):
    clips, runs = own
    before = arms(runs / "zero-shot")
    with caplog.at_level(logging.INFO):
        start(clips, tokenizers, runs / "zero-shot", replace(ZERO_SHOT, **more))
    after = arms(runs / "zero-shot")
    added = sorted(after.keys() - before.keys())
    assert added and {name: after[name] for name in before} == before
    assert f"arms are added to its {len(before)}: {', '.join(x.removesuffix('.jsonl') for x in added)}" in caplog.text
    assert len(asked) == 3 * len(added)
    values = {name: tuple(dict.fromkeys([*getattr(ZERO_SHOT, name), *x])) for name, x in more.items()}
    same_as_fresh(clips, tokenizers, runs / "zero-shot", replace(ZERO_SHOT, **values), tmp_path)


def test_a_seed_is_added_and_fewer_values_take_nothing_away(own, tokenizers, tmp_path):
    clips, runs = own
    before = arms(runs / "tuned")
    start(clips, tokenizers, runs / "tuned", replace(TUNED, seeds=(1,)))
    both = replace(TUNED, seeds=(0, 1))
    summary = same_as_fresh(clips, tokenizers, runs / "tuned", both, tmp_path)
    assert [arm["adapter"] and arm["adapter"]["seed"] for arm in summary["arms"]] == [None, 0, 1]
    assert {name: arms(runs / "tuned")[name] for name in before} == before
    again = start(clips, tokenizers, runs / "tuned", replace(TUNED, finetune=False, seeds=(5,)))
    assert again | {"seconds": 0} == summary | {"seconds": 0}
    record = json.loads((runs / "tuned" / "config.json").read_text())
    assert record["seeds"] == [0, 1] and record["finetune"]


def test_fine_tuning_is_added_to_a_run_without(own, tokenizers, tmp_path):
    clips, runs = own
    config = replace(ZERO_SHOT, finetune=True, seeds=(3,))
    start(clips, tokenizers, runs / "zero-shot", config)
    same_as_fresh(clips, tokenizers, runs / "zero-shot", config, tmp_path)


# --- the rule


def test_another_rule_counts_the_same_replies_anew(own, tokenizers, asked, tmp_path):
    clips, runs = own
    path = runs / "zero-shot" / "arms" / "zero-shot-1fps-generation.jsonl"
    text = path.read_text(encoding="utf-8")
    reply = json.loads(text.split("\n")[1])["reply"]
    path.write_text(text.replace(json.dumps(reply, ensure_ascii=False), '"It is red."'), encoding="utf-8")
    likelihoods = {name: content for name, content in arms(runs / "zero-shot").items() if "likelihood" in name}
    for rule in ("unique_mention", "exact", "normalised"):
        summary = start(clips, tokenizers, runs / "zero-shot", replace(ZERO_SHOT, rule=rule))
        head, lines = read_replies(path)
        assert asked == [] and head["rule"] == rule == summary["rule"] and "It is red." in [x["reply"] for x in lines]
        assert [x["label"] for x in lines] == [label_of(x["reply"], LABELS, rule=rule) for x in lines]
        assert [x["correct"] for x in lines] == [x["label"] == x["truth"] for x in lines]
        assert summary["arms"][0]["correct"] == sum(x["correct"] for x in lines)
        assert {name: arms(runs / "zero-shot")[name] for name in likelihoods} == likelihoods


# --- models and versions


@pytest.mark.parametrize("setting", ["content", "template", "question_max_length"])
def test_a_loaded_model_whose_settings_changed_is_another(own, tokenizers, setting):
    clips, runs = own
    model = small_model(*tokenizers)
    before = getattr(model.config, setting)
    setattr(model.config, setting, {"content": "grid:2", "template": "vicuna_v1"}.get(setting, 7))
    assert getattr(model.config, setting) != before
    with pytest.raises(ValueError, match="another run, they differ in weights"):
        start(clips, tokenizers, runs / "zero-shot", model=model)


def test_a_model_is_itself_after_it_has_answered(clips, runs, tokenizers, asked):
    """Neither training nor answering leaves a setting changed."""
    model = small_model(*tokenizers)
    before = LlamaVidAnswerer(model, None)
    before._weights = ""
    identity = before.identity
    start(clips, tokenizers, runs / "tuned", replace(TUNED, seeds=(0, 9)), model=model)
    assert asked and before.identity == identity


def test_other_versions_finish_no_run_and_leave_a_whole_one_alone(own, tokenizers, asked, monkeypatch):
    clips, runs = own
    now = resume.versions()
    assert {"llamavid-kit", "torch", "transformers", "av"} <= set(now)
    version = files.version
    monkeypatch.setattr(files, "version", lambda name: "9.9" if name == "torch" else version(name))
    start(clips, tokenizers, runs / "zero-shot")
    for change in (
        lambda: (runs / "zero-shot" / "arms" / "zero-shot-4fps-likelihood.jsonl").unlink(),
        lambda: write_clip(clips[0] / "t1.mp4", seconds=1, label="Blue", seed=99),
    ):
        change()
        with pytest.raises(
            ValueError, match=f"begun with torch {re.escape(now['torch'])} .now 9.9.: .*go on with those versions"
        ):
            start(clips, tokenizers, runs / "zero-shot")
    assert asked == []


@pytest.mark.parametrize("content", ["{}", "[]", "null", '{"groups": 3}', '{"model": "small"', '{"fps": null}'])
def test_a_damaged_configuration_is_named(own, tokenizers, content):
    clips, runs = own
    before = arms(runs / "zero-shot")
    (runs / "zero-shot" / "config.json").write_text(content)
    with pytest.raises(
        ValueError, match=r"config\.json is not (a run's configuration|JSON).*give another output folder"
    ):
        start(clips, tokenizers, runs / "zero-shot")
    assert arms(runs / "zero-shot") == before


# --- the rules themselves, without a model

HEAD = {"name": "a", "model": "small", "rule": "exact", "training": "0a1b"}
ITEMS = [{"clip": f"c{k}", "content": f"{k:x}"} for k in range(3)]
LINES = [item | {"truth": "Red", "reply": "red.", "label": None, "correct": False} for item in ITEMS]
CLOSED = ClosedQuestion("Which?", LABELS, rule="normalised")


def arm_file(path: Path, lines=LINES, rest: str = "") -> Path:
    path.write_text("".join(json.dumps(x) + "\n" for x in ({"arm": HEAD}, *lines)) + rest)
    return path


@pytest.mark.parametrize(
    ("head", "question"), [({"model": "other"}, CLOSED), ({"rule": "x"}, None), ({"rule": "x", "training": ""}, CLOSED)]
)
def test_an_arm_that_is_another_is_refused_and_stays(tmp_path, head, question):
    path = arm_file(tmp_path / "a.jsonl")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="belongs to another arm"):
        resume.resume_arm(path, HEAD | head, ITEMS, batch=2, question=question)
    assert path.read_bytes() == before


def test_an_arm_begins_anew_where_training_alone_differs(tmp_path, caplog):
    path = arm_file(tmp_path / "a.jsonl")
    assert resume.resume_arm(path, HEAD | {"training": "other"}, ITEMS, batch=2, question=CLOSED) == 0
    assert read_replies(path) == (HEAD | {"training": "other"}, []) and "a is answered again" in caplog.text


@pytest.mark.parametrize(("n", "kept"), [(3, 3), (2, 2), (1, 0), (0, 0)])
def test_an_arm_that_was_cut_is_counted_by_another_rule(tmp_path, n, kept):
    """Whole batches stay, a line that was cut within a letter goes."""
    path = arm_file(tmp_path / "a.jsonl", LINES[:n], '{"clip": "c')
    head = HEAD | {"rule": "normalised"}
    assert resume.resume_arm(path, head, ITEMS, batch=2, question=CLOSED) == kept
    assert read_replies(path) == (head, [line | {"label": "Red", "correct": True} for line in LINES[:kept]])


def test_what_counts_as_answered(tmp_path):
    path = arm_file(tmp_path / "a.jsonl")
    assert resume.answered(path, HEAD, ITEMS) and resume.answered(path, HEAD | {"rule": "x"}, ITEMS)
    changed = [ITEMS[0], ITEMS[1] | {"content": "other"}, ITEMS[2]]
    for items in (ITEMS[:2], [*ITEMS, ITEMS[0]], changed, ITEMS[::-1]):
        assert not resume.answered(path, HEAD, items)
    for head in ({"model": "other"}, {"training": "other"}, {"rule": "x", "model": "other"}, {"new": 1}):
        assert not resume.answered(path, HEAD | head, ITEMS)
    assert not resume.answered(tmp_path / "none.jsonl", HEAD, ITEMS)
    assert not resume.answered(arm_file(path, LINES[:2], "{torn\n"), HEAD, ITEMS)


@pytest.mark.parametrize(
    ("begun", "asked", "seeds", "steps", "tuned"),
    [
        (ZERO_SHOT, replace(TUNED, seeds=(3,)), (3,), 2, True),
        (replace(ZERO_SHOT, seeds=(5,), train=TrainSettings(max_steps=9)), TUNED, (0,), 2, True),
        (TUNED, replace(ZERO_SHOT, seeds=(5,), train=TrainSettings(max_steps=9)), (0,), 2, True),
        (replace(TUNED, seeds=(1, 0)), replace(TUNED, seeds=(2, 0)), (1, 0, 2), 2, True),
        (replace(ZERO_SHOT, seeds=(5,)), replace(ZERO_SHOT, seeds=(6,)), (6,), 2, False),
    ],
)
def test_settings_of_training_are_those_of_the_run_that_trains(tmp_path, begun, asked, seeds, steps, tuned):
    resume.write_record(tmp_path, begun.record())
    config, record = resume.continued(tmp_path, begun, asked, {}, trainable=("small",))
    assert (config.seeds, config.train.max_steps, config.finetune) == (seeds, steps, tuned)
    assert (record["seeds"], record["finetune"]) == (list(seeds), tuned)
    assert config.fps == tuple(dict.fromkeys([*begun.fps, *asked.fps]))


@pytest.mark.parametrize("name", resume.GROWING)
def test_values_of_every_factor_are_added_behind_those_that_are_there(tmp_path, name):
    factors = ("fps", "content", "frames", "change", "prompts", "answering", "seeds", "train_fps")
    values = (
        (2, 1),
        ("mean", "all"),
        ("train", "time"),
        ("blank", "guided"),
        tuple(PROMPTS)[1::-1],
        ("likelihood", "generation"),
        (4, 3),
        (2, 1),
    )
    second, first = dict(zip(factors, values, strict=True))[name]
    begun, asked = replace(TUNED, **{name: (second,)}), replace(TUNED, **{name: (first, second)})
    resume.write_record(tmp_path, begun.record())
    config, record = resume.continued(tmp_path, begun, asked, {}, trainable=("small",))
    assert getattr(config, name) == (second, first) and record[name] == [second, first]


@pytest.mark.parametrize(
    ("change", "more", "named"),
    [
        ({"rule": "exact"}, {}, None),
        ({"max_new_tokens": 5, "fps": (2,)}, {}, "in max_new_tokens .there 4, asked 5.: give"),
        ({"quantise": "4bit"}, {}, 'in quantise .there null, asked "4bit".: give'),
        ({"source": "s" * 90}, {}, f'source .there "colours", asked "{"s" * 56}….'),
        ({}, {"pairs": "new"}, "pairs .the clips that are listed"),
        ({}, {"weights": {"small": "new"}}, "weights .a model's weights"),
        ({}, {"versions": {"torch": "9"}}, None),
        ({"train": TrainSettings(max_steps=9), "shuffle_labels": True}, {}, None),
    ],
)
def test_what_makes_it_another_run(tmp_path, change, more, named):
    record = {"pairs": "old", "weights": {"small": "old"}, "versions": {"torch": "1"}}
    resume.write_record(tmp_path, ZERO_SHOT.record() | record)
    asked = replace(ZERO_SHOT, **change)
    if named:
        with pytest.raises(ValueError, match=f"belongs to another run, they differ .*{named}"):
            resume.continued(tmp_path, ZERO_SHOT, asked, record | more, trainable=())
    else:
        _, now = resume.continued(tmp_path, ZERO_SHOT, asked, record | more, trainable=())
        assert now["versions"] == {"torch": "1"} and now["rule"] == asked.rule


def test_the_order_of_choices_stays_unless_another_is_asked_for(tmp_path):
    begun = replace(ZERO_SHOT, shuffle_choices=7)
    resume.write_record(tmp_path, begun.record())
    for asked, order in ((ZERO_SHOT, 7), (replace(ZERO_SHOT, shuffle_choices=7, fps=(2,)), 7)):
        config, record = resume.continued(tmp_path, begun, asked, {}, trainable=())
        assert config.shuffle_choices == record["shuffle_choices"] == order
    with pytest.raises(ValueError, match="differ in shuffle_choices .there 7, asked 8."):
        resume.continued(tmp_path, begun, replace(ZERO_SHOT, shuffle_choices=8), {}, trainable=())


def test_versions_are_compared_by_package(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "PACKAGES", ("torch", "no-such-package-of-ours"))
    now = resume.versions()
    assert list(now) == ["torch"]
    resume.check_versions(tmp_path, {"versions": now})
    for then, text in (
        ({**now, "av": "1"}, "av 1 .now none."),
        (None, "torch unknown .now"),
        ({"torch": "0"}, "torch 0 .now"),
    ):
        with pytest.raises(ValueError, match=text):
            resume.check_versions(tmp_path, {"versions": then})


def test_the_version_of_bitsandbytes_counts_where_weights_are_packed(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "version", lambda name: "2")
    whole, packed = resume.versions(), resume.versions(packs=True)
    assert packed == whole | {"bitsandbytes": "2"} != whole
    resume.check_versions(tmp_path, {"versions": whole, "quantise": None})
    resume.check_versions(tmp_path, {"versions": packed, "quantise": "4bit"})
    with pytest.raises(ValueError, match="bitsandbytes 1 .now 2."):
        resume.check_versions(tmp_path, {"versions": packed | {"bitsandbytes": "1"}, "quantise": "4bit"})


def test_a_folder_is_a_run_or_empty_or_refused(tmp_path):
    assert resume.begun_config(tmp_path) is None is resume.begun_config(tmp_path / "none")
    resume.write_record(tmp_path / "a" / "run", ZERO_SHOT.record())
    assert resume.begun_config(tmp_path / "a" / "run") == ZERO_SHOT
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="is not empty and not a run of this kit"):
        resume.begun_config(tmp_path)
