"""Another model than ours takes arms: the same clips, the same files, the same report; and what is refused of it."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from colour_clips import good_clips
from small import LABELS, small_model

from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.report import answer, tables, text
from llamavid_kit.experiments.report.answer import result_lines
from llamavid_kit.experiments.report.page import write_figures, write_report
from llamavid_kit.experiments.run import Run
from llamavid_kit.files import read_replies
from llamavid_kit.model.answering import LlamaVidAnswerer
from llamavid_kit.model.ask import Reply
from llamavid_kit.model.frame_cache import FrameCache
from llamavid_kit.training.finetune import LoraSettings, TrainSettings

pytestmark = pytest.mark.slow

CONFIG = AblationConfig(
    model="small",
    source="colours",
    fps=(1, 4),
    batch=2,
    max_new_tokens=4,
    train=TrainSettings(batch_size=2, max_steps=2),
    lora=LoraSettings(r=2, alpha=4),
)
ALONE = replace(CONFIG, finetune=False)
ZERO_SHOT = [f"zero-shot-{fps}fps-{way}" for fps in (1, 4) for way in ("generation", "likelihood")]
REASON = "t3.mp4 is not for this model"


class Rival:
    """A `VideoModel` that is none of ours: it says red below 4 fps and the clip's own colour from there."""

    def __init__(self, name: str = "rival", identity: str = "version 1", *, refused: str = "t3"):
        self.name, self.identity, self.refused, self.batches = name, identity, refused, []

    def fits(self, clip, question, choices, view, *, max_new_tokens):
        if clip.path.stem == self.refused:
            raise ValueError(REASON)

    def _colour(self, clip, view) -> str:
        return "Red" if view.fps < 4 else LABELS[int(clip.path.stem[1:]) % 3]

    def generate(self, clips, question, view, *, max_new_tokens):
        assert "ONLY ONE" in question and max_new_tokens == 4
        self.batches.append([clip.path.stem for clip in clips])
        return [Reply(self._colour(clip, view), tuple(clip.sample(view.fps).timestamps_s)) for clip in clips]

    def choose(self, clips, question, choices, view):
        self.batches.append([clip.path.stem for clip in clips])
        replies = []
        for clip in clips:
            colour = self._colour(clip, view)
            values = {choice: -0.5 if choice == colour else -2.0 for choice in choices}
            replies.append(Reply(colour, tuple(clip.sample(view.fps).timestamps_s), values))
        return replies


class Mute(Rival):
    """Answers one clip of a batch alone."""

    def generate(self, clips, question, view, *, max_new_tokens):
        return super().generate(clips[:1], question, view, max_new_tokens=max_new_tokens)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    return root, good_clips(root)


@pytest.fixture(scope="module")
def run(clips, tokenizers, tmp_path_factory):
    """Ours, zero-shot and fine-tuned, and a rival: twelve arms."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return out, go(clips, out, model=small_model(*tokenizers), rivals=[Rival()])


def go(clips, out, *, config=CONFIG, **models) -> dict:
    return ablate(clips[1], root=clips[0], out=out, config=config, **models)


def arms(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "arms").iterdir())}


def test_both_answer_the_same_clips_and_one_that_either_refuses_is_left_out_for_both(run):
    out, summary = run
    names = [f"small-{name}" for name in (*ZERO_SHOT, *(name.replace("zero-shot", "lora-seed0") for name in ZERO_SHOT))]
    names += [f"rival-{name}" for name in ZERO_SHOT]
    assert [arm["name"] for arm in summary["arms"]] == names
    assert {arm["model"] for arm in summary["arms"][:8]} == {"small"} and summary["arms"][-1]["model"] == "rival"
    assert summary["excluded"] == [{"clip": "t3", "split": "test", "reason": REASON}]
    for name in names:
        _, lines = read_replies(out / "arms" / f"{name}.jsonl")
        assert [line["clip"] for line in lines] == ["t0", "t1", "t2", "t4"]
        assert [len(line["timestamps_s"]) for line in lines] == [2 if "-1fps-" in name else 6] * 4
    config = json.loads((out / "config.json").read_text())
    assert config["model"] == ["small", "rival"] and len(config["weights"]) == 2 and config["weights"][1] == "version 1"
    assert sorted(path.name for path in (out / "finetune").iterdir()) == ["small-fps1-seed0", "small-fps4-seed0"]


def test_its_numbers_by_hand(run):
    """Of t0, t1, t2, t4 one is red: at 1 fps one reply is right, at 4 fps all are."""
    scores = {arm["name"]: arm for arm in run[1]["arms"]}
    for name in ZERO_SHOT:
        arm, fast = scores[f"rival-{name}"], "-4fps-" in name
        assert (arm["correct"], arm["n"], arm["no_label"]) == (4 if fast else 1, 4, 0)
        assert arm["receipt"] == {"n_frames": 24 if fast else 8, "visual_tokens": None, "tokens_a_frame": None}
    rows = [row for row in run[1]["paired"] if row["family"] == "model"]
    assert [(row["a"], row["b"]) for row in rows] == [(f"small-{name}", f"rival-{name}") for name in ZERO_SHOT]
    (faster,) = (r for r in run[1]["paired"] if r["family"] == "fps" and r["a"] == "rival-zero-shot-1fps-generation")
    assert faster["b"] == "rival-zero-shot-4fps-generation" and (faster["only_a"], faster["only_b"]) == (0, 3)


def test_the_report_compares_them(run, tmp_path):
    folder = Path(shutil.copytree(run[0], tmp_path / "run"))
    page, read = write_report(folder).read_text(), Run(folder)
    assert read.models == ["small", "rival"] and read.varied == [] and "model" in read.families
    assert "the models are <strong>small and rival</strong>" in page
    assert page.count("Does another model do better?") >= 1 and "rival, zero-shot, 4 fps" in page
    assert "A model did not say how long its choices are" in page and REASON in page
    assert not re.search(r"\bnan\b", re.sub(r'src="[^"]+"', "", page))
    section = page[page.index("4. How many clips each arm got right") : page.index("5. Do two arms differ")]
    assert all(f"<td>{name}, zero-shot, {fps} fps</td>" in section for name in ("small", "rival") for fps in (1, 4))
    compared = [line for line in result_lines(read) if " → rival" in line]
    assert any(line.startswith("small, zero-shot, 1 fps, generation → rival, zero-shot, 1 fps,") for line in compared)
    table = tables.arm_table(read, "generation").set_index("arm")
    assert table.loc["rival, zero-shot, 4 fps", "tokens in all"] == "–"
    assert table.loc["small, zero-shot, 4 fps", "tokens in all"] == "48" and set(table["frames a clip"]) == {
        "2.0",
        "6.0",
    }
    assert (folder / "figures" / "paired_model.png").stat().st_size > 0
    assert read.check() == "12 arms answered the same 4 clips; counts agree with the replies."


def test_cut_anywhere_both_go_on_to_the_same_bytes(run, clips, tokenizers, tmp_path):
    own, rival = Path(shutil.copytree(run[0], tmp_path / "run")), Rival()
    whole = arms(own)
    for k, (name, content) in enumerate(whole.items()):
        (own / "arms" / name).write_bytes(content[: len(content) * (k + 1) // 14])
    again = go(clips, own, model=small_model(*tokenizers), rivals=[rival])
    assert arms(own) == whole and again | {"seconds": 0} == run[1] | {"seconds": 0}
    assert 0 < len(rival.batches) <= 8 and all(batch in (["t0", "t1"], ["t2", "t4"]) for batch in rival.batches)
    done = Rival()
    go(clips, own, model=small_model(*tokenizers), rivals=[done])
    assert done.batches == []


def test_it_may_stand_alone(clips, run, tmp_path):
    """In the place of the model that the configuration names: the same lines as beside another, the same report."""
    summary = go(clips, tmp_path / "run", config=ALONE, model=Rival())
    assert [arm["name"] for arm in summary["arms"]] == ZERO_SHOT and {arm["model"] for arm in summary["arms"]} == {
        "rival"
    }
    for name, content in arms(tmp_path / "run").items():
        assert content.split(b"\n", 1)[1] == arms(run[0])[f"rival-{name}"].split(b"\n", 1)[1]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"] == "rival" and summary["worlds"] == {}
    read = Run(tmp_path / "run")
    assert "the model is **rival**, as it comes" in text.setting(read) and read.families == ["fps", "answering"]
    assert answer.answer(read).startswith("Of the same 4 clips **zero-shot, 4 fps** answered 4 (100.0%) right and ")
    assert all(path.stat().st_size for path in write_figures(read))


def test_what_it_prepares_it_prepares_once_a_clip_before_any_arm(clips, tmp_path):
    class Prepared(Rival):
        def prepare(self, clip, questions, views):
            assert not self.batches and len(questions) == 1
            self.prepared.append((clip.path.stem, [view.fps for view in views]))

    rival = Prepared()
    rival.prepared = []
    go(clips, tmp_path / "run", config=ALONE, model=rival)
    assert sorted(rival.prepared) == [(name, [4, 1]) for name in ("t0", "t1", "t2", "t4")]


# --- what is refused


def test_another_version_of_a_model_is_another_run(run, clips, tokenizers, tmp_path):
    own, ours = Path(shutil.copytree(run[0], tmp_path / "run")), small_model(*tokenizers)
    before = arms(own)
    with pytest.raises(ValueError, match="another run, they differ in weights"):
        go(clips, own, model=ours, rivals=[Rival(identity="version 2")])
    with pytest.raises(ValueError, match=r"another run, they differ in model \(there .*rival.*, asked .*other"):
        go(clips, own, model=ours, rivals=[Rival("other")])
    with pytest.raises(ValueError, match=r"another run, they differ in model \(there .*, asked .*\), weights"):
        go(clips, own, model=ours)
    assert arms(own) == before


def test_two_models_of_one_name_are_refused(clips, tokenizers, tmp_path):
    ours = small_model(*tokenizers)
    second = LlamaVidAnswerer(ours, FrameCache(ours), name="small")
    for models in (
        {"model": ours, "rivals": [Rival("small")]},
        {"model": ours, "rivals": [second]},
        {"model": ours, "rivals": [Rival(), Rival(identity="version 2")]},
        {"model": Rival("tiny"), "config": replace(ALONE, model=("first", "tiny"))},
    ):
        with pytest.raises(ValueError, match="two models are called '.*': give each another name"):
            go(clips, tmp_path / "run", **models)
    assert not (tmp_path / "run").exists()


def test_adapters_are_refused_where_no_model_can_be_trained(clips, tmp_path):
    message = "adapters are trained for LLaMA-VID alone, not for rival, other: give finetune=False"
    with pytest.raises(ValueError, match=message):
        go(clips, tmp_path / "run", model=Rival(), rivals=[Rival("other")])
    assert not (tmp_path / "run").exists()


def test_a_reply_for_each_clip_is_expected(clips, tmp_path):
    with pytest.raises(ValueError, match="model rival gave 1 replies to 2 clips: expected one for each clip"):
        go(clips, tmp_path / "run", config=ALONE, model=Mute())
    assert arms(tmp_path / "run")[f"{ZERO_SHOT[0]}.jsonl"].count(b"\n") == 1  # the head, and no reply of another clip


def test_one_of_ours_may_be_a_rival(clips, tokenizers, tmp_path):
    """A second set of weights is trained, too, and has frame tokens of its own."""
    ours, other = small_model(*tokenizers), small_model(*tokenizers, seed=1)
    config = replace(CONFIG, fps=(1,), answering=("likelihood",))
    rival = LlamaVidAnswerer(other, FrameCache(other, tmp_path / "tokens"), name="other")
    summary = go(clips, tmp_path / "run", config=config, model=ours, rivals=[rival])
    kinds = ("zero-shot", "lora-seed0")
    assert [a["name"] for a in summary["arms"]] == [
        f"{m}-{k}-1fps-likelihood" for m in ("small", "other") for k in kinds
    ]
    assert [row["family"] for row in summary["paired"]] == ["model", "model", "adapter", "adapter"]
    assert len({content.split(b"\n", 1)[1] for content in arms(tmp_path / "run").values()}) == 4
