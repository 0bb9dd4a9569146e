"""Guards the ablation's protocol: one clip list for all arms, nothing wrong or dropped in silence, files that resume
byte for byte, and numbers that anybody can recompute from the arm files.
"""

import json
import math
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from colour_clips import TEST, make_clips
from small import LABELS, small_model, write_clip

from llamavid_kit.data.video import Video
from llamavid_kit.experiments import ablation
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig
from llamavid_kit.experiments.report.page import write_report
from llamavid_kit.experiments.tasks import ClosedQuestion
from llamavid_kit.files import read_replies
from llamavid_kit.model.answering import LlamaVidAnswerer
from llamavid_kit.model.ask import Reply
from llamavid_kit.training import finetune as training
from llamavid_kit.training.finetune import LoraSettings, TrainSettings

CONFIG = AblationConfig(
    model="small",
    source="colours",
    fps=(1, 4),
    seeds=(0,),
    batch=2,
    max_new_tokens=4,
    groups={"warm": ("Red",)},
    train=TrainSettings(batch_size=2, max_steps=3, learning_rate=5e-3),
    lora=LoraSettings(r=2, alpha=4),
)
ZERO_SHOT = replace(CONFIG, finetune=False)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    return root, make_clips(root)


@pytest.fixture(scope="module")
def run(clips, tokenizers, tmp_path_factory):
    """One whole run; tests read it, and copy it before they break it."""
    out = tmp_path_factory.mktemp("runs") / "run"
    summary = ablate(clips[1], root=clips[0], out=out, config=CONFIG, model=small_model(*tokenizers))
    return out, summary


@pytest.fixture
def own_run(run, tmp_path):
    """A copy of the run that a test may damage."""
    return Path(shutil.copytree(run[0], tmp_path / "run"))


def arms(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((out / "arms").iterdir())}


def start_again(clips, tokenizers, out, config=CONFIG, pairs=None):
    return ablate(pairs or clips[1], root=clips[0], out=out, config=config, model=small_model(*tokenizers))


# --- one list


def test_all_arms_answer_the_same_clips_in_the_same_order(run):
    out, summary = run
    names = [
        f"{kind}-{fps}fps-{way}"
        for kind in ("zero-shot", "lora-seed0")
        for fps in (1, 4)
        for way in ("generation", "likelihood")
    ]
    assert [arm["name"] for arm in summary["arms"]] == names
    assert set(arms(out)) == {f"{name}.jsonl" for name in names}
    assert {row["clip"] for row in summary["excluded"]} == {"empty", "torn", "missing", "long", "trainbad"}
    assert summary["excluded"] == json.loads((out / "clips.json").read_text())["excluded"]
    for name in names:
        head, lines = read_replies(out / "arms" / f"{name}.jsonl")
        assert head["name"] == name and [line["clip"] for line in lines] == TEST
        assert [line["truth"] for line in lines] == [LABELS[k % 3] for k in range(5)]


def test_receipts(run):
    """1.5, 1.75 and 2 s long: the moments at 1 and at 4 fps, by hand."""
    for name, fps in (("zero-shot-1fps-generation", 1), ("lora-seed0-4fps-likelihood", 4)):
        head, lines = read_replies(run[0] / "arms" / f"{name}.jsonl")
        assert head["fps"] == fps
        for k, line in enumerate(lines):
            n = math.ceil((1.5 + 0.25 * (k % 3)) * fps)
            assert line["timestamps_s"] == pytest.approx([j / fps for j in range(n)], abs=0.001)
            assert line["n_visual"] == 2 * n
        (record,) = (arm for arm in run[1]["arms"] if arm["name"] == name)
        n = sum(math.ceil((1.5 + 0.25 * (k % 3)) * fps) for k in range(5))
        assert record["receipt"] == {"n_frames": n, "visual_tokens": 2 * n, "tokens_a_frame": 2}


def test_labels_by_rule_and_by_likelihood(run):
    for path in sorted((run[0] / "arms").iterdir()):
        head, lines = read_replies(path)
        for line in lines:
            if head["answering"] == "likelihood":
                assert head["rule"] == "likeliest choice" and list(line["log_likelihood"]) == list(LABELS)
                assert line["label"] == line["reply"] == max(line["log_likelihood"], key=line["log_likelihood"].get)
            else:
                words = line["reply"].strip(" \t\r\n\"'.").lower()
                expected = next((label for label in LABELS if label.lower() == words), None)
                assert head["rule"] == "normalised" and line["label"] == expected and "log_likelihood" not in line
            assert line["correct"] == (line["label"] == line["truth"])


def test_adapters_change_answers_and_zero_shot_has_none(run):
    out, summary = run
    files = arms(out)
    bodies = {name: content.split(b"\n", 1)[1] for name, content in files.items()}
    assert bodies["zero-shot-4fps-likelihood.jsonl"] != bodies["lora-seed0-4fps-likelihood.jsonl"]
    assert bodies["zero-shot-1fps-likelihood.jsonl"] != bodies["zero-shot-4fps-likelihood.jsonl"]
    assert [arm["adapter"] is None for arm in summary["arms"]] == [True] * 4 + [False] * 4
    assert summary["arms"][-1]["adapter"] == {"seed": 0, "fps": None} and summary["arms"][-1]["fps"] == 4
    assert CONFIG.adapter_folder(CONFIG.arms()[-1]) == "finetune/fps4-seed0"
    assert (out / "finetune" / "fps4-seed0" / "adapter" / "adapter_config.json").is_file()


def test_arms_do_not_depend_on_those_before_them(clips, tokenizers, run, tmp_path):
    """4 fps alone, and the zero-shot arms alone, give the same lines as within the whole run."""
    for config in (replace(CONFIG, fps=(4,)), ZERO_SHOT):
        start_again(clips, tokenizers, tmp_path / str(config.finetune), config)
        for name, content in arms(tmp_path / str(config.finetune)).items():
            assert content == arms(run[0])[name], name


# --- numbers


def test_summary_recomputed_from_the_arm_files(run):
    out, summary = run
    frames = {}
    for arm in summary["arms"]:
        lines = [json.loads(x) for x in (out / "arms" / f"{arm['name']}.jsonl").read_text().split("\n")[1:-1]]
        frame = frames[arm["name"]] = pd.DataFrame(lines).assign(ok=lambda f: f["label"] == f["truth"])
        assert arm["n"] == 5 and arm["correct"] == frame["ok"].sum() and arm["accuracy"] == frame["ok"].mean()
        assert arm["no_label"] == frame["label"].isna().sum() and arm["labels"] == list(LABELS)
        assert arm["balanced_accuracy"] == pytest.approx(frame.groupby("truth")["ok"].mean().mean())
        counts = pd.crosstab(frame["truth"], frame["label"].fillna("no label"))
        for i, truth in enumerate(arm["labels"]):
            assert arm["per_class"][truth]["n"] == (frame["truth"] == truth).sum()
            assert arm["per_class"][truth]["correct"] == frame.loc[frame["truth"] == truth, "ok"].sum()
            for j, column in enumerate(arm["columns"]):
                assert arm["confusion"][i][j] == counts.get(column, pd.Series(dtype=int)).get(truth, 0)
        p, n, z = frame["ok"].mean(), 5, 1.959964
        middle, half = p + z * z / 2 / n, z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
        expected = [(middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)]
        assert arm["wilson95"] == pytest.approx(expected, abs=1e-6)
    check_pairs(summary, frames)
    assert summary["baseline"] == {"label": "Red", "correct": 2, "n": 5}
    table = pd.read_csv(out / "results.csv")
    assert table["name"].tolist() == list(frames) and table["correct"].tolist() == [
        a["correct"] for a in summary["arms"]
    ]
    visible = {row["fps"]: (row["n"], row["seen"]) for row in summary["visibility"] if row["set"] == "this set"}
    assert visible == {1: (2, 0), 2: (2, 2), 3: (2, 2), 6: (2, 2)}  # two events from 0.3 to 0.8 s
    assert summary["groups"] == {"warm": ["Red"]} and set(summary["seconds"]) >= {"load model", "fine-tune 1 fps"}
    assert summary == json.loads((out / "summary.json").read_text())


def check_pairs(summary, frames):
    """Discordant counts by hand, McNemar from the binomial, Holm step by step within a family."""
    kinds, rates, ways = ("zero-shot", "lora-seed0"), (1, 4), ("generation", "likelihood")
    expected = {
        "adapter": [tuple(f"{kind}-{fps}fps-{way}" for kind in kinds) for fps in rates for way in ways],
        "fps": [tuple(f"{kind}-{fps}fps-{way}" for fps in rates) for kind in kinds for way in ways],
        "answering": [tuple(f"{kind}-{fps}fps-{way}" for way in ways) for kind in kinds for fps in rates],
    }
    families = {family: [row for row in summary["paired"] if row["family"] == family] for family in expected}
    assert sum(len(rows) for rows in families.values()) == len(summary["paired"]) == 12
    for family, rows in families.items():
        assert sorted((row["a"], row["b"]) for row in rows) == sorted(expected[family])
        for row in rows:
            left, right = (frames[row[side]].set_index("clip")["ok"] for side in "ab")
            only_a, only_b = int((left & ~right).sum()), int((right & ~left).sum())
            assert (row["n"], row["only_a"], row["only_b"]) == (5, only_a, only_b)
            n, k = only_a + only_b, min(only_a, only_b)
            p = min(1.0, 2 * sum(math.comb(n, j) for j in range(k + 1)) / 2**n)
            assert row["p"] == pytest.approx(p) and row["difference"] == pytest.approx((only_b - only_a) / 5)
        ordered, running = sorted(rows, key=lambda row: row["p"]), 0.0
        for rank, row in enumerate(ordered):
            running = max(running, min(1.0, (len(ordered) - rank) * row["p"]))
            assert row["p_holm"] == pytest.approx(running)


# --- resuming


def test_cut_anywhere_and_started_again(clips, tokenizers, own_run, monkeypatch):
    """An arm file cut in its header, after it, in a line, within and between batches: the same bytes again."""
    monkeypatch.setattr(ablation, "finetune", lambda *_, out, **__: out / "adapter")  # it lies there
    whole = arms(own_run)
    for turn in range(3):  # every file is cut at another place each time
        for k, (name, content) in enumerate(whole.items()):
            ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
            places = [0, 10, ends[0] - 1, ends[0], ends[0] + 1, ends[1], ends[1] + 7, ends[2], ends[3], ends[4] + 5]
            (own_run / "arms" / name).write_bytes(content[: [*places, ends[5] - 1][(k + 8 * turn) % 11]])
        start_again(clips, tokenizers, own_run)
        assert arms(own_run) == whole, turn
    (own_run / "arms" / "lora-seed0-4fps-generation.jsonl").unlink()
    (own_run / "arms" / "zero-shot-1fps-generation.jsonl.partial").write_bytes(b"{")
    summary = (own_run / "summary.json").read_text()
    start_again(clips, tokenizers, own_run)
    files = arms(own_run)
    files.pop("zero-shot-1fps-generation.jsonl.partial", None)
    assert files == whole
    same = [json.loads(text) | {"seconds": 0} for text in (summary, (own_run / "summary.json").read_text())]
    assert same[0] == same[1]


class Talker:
    """Replies with letters that other systems take for line ends, and with several bytes each."""

    def generate(self, clips, question, view, *, max_new_tokens):
        return [Reply(f"Réd\u2028{clip.path.stem}\x85né\x1c\r\n\ttwo", (0.0,)) for clip in clips]


def test_replies_of_any_letters_survive_a_cut(clips, tmp_path):
    """Cut at every byte of a line."""
    root, pairs = clips
    test = [p for p in pairs if p.id in TEST[:3]]
    test = [replace(p, extra={"content": Video(p.video_path(root)).content_key()}) for p in test]
    arm, question = ZERO_SHOT.arms()[0], ClosedQuestion(test[0].question, LABELS)
    run = {"arm": arm, "head": {"name": arm.name}, "root": root, "out": tmp_path, "config": ZERO_SHOT}

    def answer():
        return ablation.answer_arm(Talker(), **run, test=test, question=question, videos={})

    path = answer()
    whole = path.read_bytes()
    _, lines = read_replies(path)
    replies = Talker().generate([Video(p.video_path(root)) for p in test], "", arm.view, max_new_tokens=4)
    assert [line["reply"] for line in lines] == [reply.text for reply in replies]
    first = whole.index(b"\n") + 1
    for at in range(first, whole.index(b"\n", first) + 2):
        path.write_bytes(whole[:at])
        assert answer().read_bytes() == whole, at


def test_batches_are_the_same_after_a_cut(clips, tokenizers, own_run, monkeypatch):
    """A half-answered batch is asked again as a whole: on a GPU the last digits depend on a batch's clips."""
    path = own_run / "arms" / "zero-shot-1fps-generation.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[:4]) + b"\n")  # header and three replies; a batch holds two
    batches, generate = [], LlamaVidAnswerer.generate

    def listen(self, videos, question, view, *, max_new_tokens):
        batches.append([video.path.stem for video in videos])
        return generate(self, videos, question, view, max_new_tokens=max_new_tokens)

    monkeypatch.setattr(LlamaVidAnswerer, "generate", listen)
    start_again(clips, tokenizers, own_run)
    assert batches == [["t2", "t3"], ["t4"]] and path.read_bytes() == b"\n".join(lines)


def test_a_finished_run_asks_nothing(clips, tokenizers, own_run, monkeypatch):
    for name in ("generate", "choose"):
        monkeypatch.setattr(LlamaVidAnswerer, name, lambda *_, **__: pytest.fail("asked again"))
    monkeypatch.setattr(Video, "frames", lambda *_: pytest.fail("decoded again"))
    start_again(clips, tokenizers, own_run)


def test_killed_before_the_list_was_whole(clips, tokenizers, run, tmp_path):
    """Only the configuration and some cached tokens lie there."""
    out = tmp_path / "run"
    out.mkdir()
    shutil.copy(run[0] / "config.json", out)
    cached = sorted((run[0] / "frame_tokens").iterdir())[:3]
    (out / "frame_tokens").mkdir()
    for file in cached:
        shutil.copy(file, out / "frame_tokens")
    (out / "clips.json.partial").write_text('{"question"')
    start_again(clips, tokenizers, out)
    assert arms(out) == arms(run[0])


# --- folders that are another's


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"train_fps": (1,)}, "train_fps"),
        ({"crossed": ("fps",)}, "crossed"),
        ({"batch": 3}, "batch"),
        ({"max_new_tokens": 5}, "max_new_tokens"),
        ({"shuffle_labels": 1}, "shuffle_labels"),
        ({"finetune": False, "model": "other"}, "model"),
        ({"source": "other clips"}, "source"),
        ({"lora": LoraSettings(r=3)}, "lora"),
    ],
)
def test_another_configuration(clips, tokenizers, own_run, change, names):
    before = arms(own_run)
    with pytest.raises(
        ValueError,
        match="another run, they differ in "
        + r" \(there .*\), ".join(names.split(", "))
        + r" \(there .*: give another output folder",
    ):
        start_again(clips, tokenizers, own_run, replace(CONFIG, **change))
    assert arms(own_run) == before


@pytest.mark.parametrize(
    "change", [lambda p: p[:-1], lambda p: p[::-1], lambda p: [replace(p[0], answer="Blue"), *p[1:]]]
)
def test_other_pairs(clips, tokenizers, own_run, change):
    with pytest.raises(ValueError, match="another run, they differ in pairs"):
        start_again(clips, tokenizers, own_run, pairs=change(clips[1]))


def test_another_model_under_the_same_name(clips, tokenizers, own_run):
    """A retrained model must not finish the arms of its predecessor."""
    with pytest.raises(ValueError, match="another run, they differ in weights"):
        ablate(clips[1], root=clips[0], out=own_run, config=CONFIG, model=small_model(*tokenizers, seed=1))
    other = small_model(*tokenizers)
    other.language_model.lm_head.weight.data[0, 0] += 1e-3
    with pytest.raises(ValueError, match="another run, they differ in weights"):
        ablate(clips[1], root=clips[0], out=own_run, config=CONFIG, model=other)


def test_a_foreign_folder(clips, tokenizers, tmp_path):
    (tmp_path / "holiday.txt").write_text("photos")
    with pytest.raises(ValueError, match="not empty and not a run"):
        start_again(clips, tokenizers, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.txt"]


def test_an_arm_file_of_another_arm(clips, tokenizers, own_run):
    shutil.copy(
        own_run / "arms" / "zero-shot-1fps-generation.jsonl", own_run / "arms" / "zero-shot-4fps-generation.jsonl"
    )
    with pytest.raises(ValueError, match="belongs to another arm"):
        start_again(clips, tokenizers, own_run)


def test_a_clip_that_changes_while_the_run_goes_on(clips, tokenizers, tmp_path, monkeypatch):
    root = Path(shutil.copytree(clips[0], tmp_path / "clips"))
    fix = ablation.fix_clip_list

    def fix_and_change(*args):
        clip_list = fix(*args)
        write_clip(root / "t2.mp4", seconds=2, label="Blue", seed=99)
        return clip_list

    monkeypatch.setattr(ablation, "fix_clip_list", fix_and_change)
    with pytest.raises(ValueError, match="t2.mp4 has changed since the clip list was fixed"):
        start_again((root, clips[1]), tokenizers, tmp_path / "run", ZERO_SHOT)


# --- training answers


def trainings_of(clips, tokenizers, out, config, monkeypatch):
    """Output folder → (clip, answer) of each pair, seed and frame tokens of a fine-tuning; nothing is trained."""
    trainings = {}

    def look(model, pairs, tokens, *, out, settings, lora):
        trainings[str(out)] = ([(p.id, p.answer) for p in pairs], settings.seed, tokens)

    monkeypatch.setattr(ablation, "finetune", look)
    monkeypatch.setattr(ablation, "adapter", lambda model, folder: nullcontext(model))
    start_again(clips, tokenizers, out, config)
    return {key.removeprefix(f"{out}/"): value for key, value in trainings.items()}


def sums(tokens) -> list[float]:
    return [float(clip.context.sum()) for clip in tokens]


def test_shuffled_labels_permute_the_training_answers_only(clips, tokenizers, tmp_path, monkeypatch):
    config = replace(CONFIG, answering=("likelihood",), seeds=(3, 4))
    plain = trainings_of(clips, tokenizers, tmp_path / "a", config, monkeypatch)
    shuffled = trainings_of(clips, tokenizers, tmp_path / "b", replace(config, shuffle_labels=2), monkeypatch)
    assert list(plain) == [f"finetune/fps{fps}-seed{seed}" for seed in (3, 4) for fps in (1, 4)]
    truths = [(f"r{k}", LABELS[k % 3]) for k in range(5, 9)]
    for key, (pairs, seed, tokens) in plain.items():
        assert pairs == truths and key.endswith(f"seed{seed}")
        other, _, same_tokens = shuffled[key]
        assert [clip for clip, _ in other] == [clip for clip, _ in pairs] and sums(same_tokens) == sums(tokens)
        assert sorted(a for _, a in other) == sorted(a for _, a in pairs) and other != pairs
    assert sums(plain["finetune/fps1-seed3"][2]) != sums(plain["finetune/fps4-seed3"][2])
    expected = np.random.default_rng(2).permutation(4)
    assert [a for _, a in shuffled["finetune/fps1-seed3"][0]] == [truths[k][1] for k in expected]
    lists = [json.loads((tmp_path / run / "clips.json").read_text()) for run in "ab"]
    assert lists[0] == lists[1]


def test_rates_of_training_and_test_are_crossed_with_one_adapter_a_rate(
    clips, tokenizers, run, tmp_path, monkeypatch, caplog
):
    """Four arms, two trainings; where both rates are one, the arm answers as one whose rates were never crossed."""
    caplog.set_level("INFO")
    trained, fit = [], training.fit
    monkeypatch.setattr(
        training, "fit", lambda *args, out, **kwargs: trained.append(out.name) or fit(*args, out=out, **kwargs)
    )
    config = replace(CONFIG, train_fps=(4, 1), answering=("likelihood",))
    summary = start_again(clips, tokenizers, tmp_path, config)
    names = [f"lora-seed0-trained{rate}fps-{fps}fps-likelihood" for rate in (1, 4) for fps in (1, 4)]
    assert [arm["name"] for arm in summary["arms"]][2:] == names
    assert "trained already" not in caplog.text  # said of what an earlier run trained alone
    assert trained == ["fps1-seed0", "fps4-seed0"] == sorted(p.name for p in (tmp_path / "finetune").iterdir())
    bodies = {name: (tmp_path / "arms" / f"{name}.jsonl").read_bytes().split(b"\n", 1)[1] for name in names}
    for name, usual in ((names[0], "lora-seed0-1fps-likelihood"), (names[3], "lora-seed0-4fps-likelihood")):
        assert bodies[name] == arms(run[0])[f"{usual}.jsonl"].split(b"\n", 1)[1]
    assert len(set(bodies.values())) == 4
    adapters = [(row["a"], row["b"]) for row in summary["paired"] if row["family"] == "adapter"]
    assert len(adapters) == 2 * 3 and (names[0], names[2]) in adapters and (names[0], names[3]) not in adapters
    table = pd.read_csv(tmp_path / "results.csv").set_index("name")
    assert table.loc[names, "train_fps"].tolist() == [1, 1, 4, 4] and table.loc[names, "train_seed"].tolist() == [0] * 4
    assert table["train_fps"].isna().sum() == 2


def test_an_adapter_is_trained_with_the_content_tokens_of_its_arm(clips, tokenizers, tmp_path, monkeypatch):
    config = replace(CONFIG, fps=(1,), content=("mean", "grid:2"), answering=("likelihood",))
    trainings = trainings_of(clips, tokenizers, tmp_path, config, monkeypatch)
    n_content = {folder: {clip.content.shape[1] for clip in tokens} for folder, (_, _, tokens) in trainings.items()}
    assert n_content == {"finetune/fps1-seed0-mean": {1}, "finetune/fps1-seed0-grid_2": {4}}


def test_an_adapter_is_trained_on_the_changed_tokens_of_its_arm(clips, tokenizers, tmp_path, monkeypatch):
    """At the rate of its training: clips of 1.5, 1.75 and 2 seconds have 2 frames at 1 fps, 6 to 8 at 4 fps."""
    config = replace(CONFIG, change=(None, "each:3", "no_context"), train_fps=(1, 4), answering=("likelihood",))
    trainings = trainings_of(clips, tokenizers, tmp_path, config, monkeypatch)
    shapes = {folder: {(len(x), x.context.ndim) for x in tokens} for folder, (_, _, tokens) in trainings.items()}
    slow, fast = {(2, 2)}, {(6, 2), (7, 2), (8, 2)}
    assert shapes == {
        "finetune/fps1-seed0": slow,
        "finetune/fps4-seed0": fast,
        "finetune/fps1-seed0-each3": {(3 * n, ndim) for n, ndim in slow},
        "finetune/fps4-seed0-each3": {(3 * n, ndim) for n, ndim in fast},
        "finetune/fps1-seed0-no_context": {(n, 3) for n, _ in slow},
        "finetune/fps4-seed0-no_context": {(n, 3) for n, _ in fast},
    }


def test_changes_are_added_to_a_run_from_before_there_were_any(clips, tokenizers, own_run):
    """Its arms stay byte for byte; a change that leaves out tokens, or all frames, is trained and answered too."""
    record = json.loads((own_run / "config.json").read_text())
    del record["change"]
    (own_run / "config.json").write_text(json.dumps(record))
    before = arms(own_run)
    assert not any(b"change" in lines for lines in before.values())
    config = replace(CONFIG, fps=(1,), change=("no_content", "no_frames", "blank"))
    summary = start_again(clips, tokenizers, own_run, config)
    after = arms(own_run)
    assert {name: after[name] for name in before} == before
    added = {arm["name"]: arm for arm in summary["arms"] if arm["change"]}
    assert len(added) == 3 * len(before) == len(after) - len(before)
    assert added["lora-seed0-4fps-no_frames-likelihood"]["receipt"] == {
        "n_frames": 0,
        "visual_tokens": 0,
        "tokens_a_frame": None,
    }
    assert added["zero-shot-1fps-no_content-generation"]["receipt"]["tokens_a_frame"] == 1
    _, lines = read_replies(own_run / "arms" / "zero-shot-4fps-no_frames-likelihood.jsonl")
    assert len({json.dumps(line["log_likelihood"]) for line in lines}) == 1  # of one question, nothing else is seen
    assert {"paired_change", "every_arm_likelihood"} <= {p.stem for p in write_report(own_run).parent.rglob("*.png")}
    assert "Does it matter what becomes of the frames?" in (own_run / "report.html").read_text(encoding="utf-8")


def test_several_seeds(clips, tokenizers, tmp_path):
    config = replace(CONFIG, fps=(1,), seeds=(0, 1), answering=("likelihood",))
    summary = start_again(clips, tokenizers, tmp_path, config)
    names = ["zero-shot-1fps-likelihood", "lora-seed0-1fps-likelihood", "lora-seed1-1fps-likelihood"]
    assert [arm["name"] for arm in summary["arms"]] == names
    assert [(row["family"], row["a"], row["b"]) for row in summary["paired"]] == [
        ("adapter", names[0], names[1]),
        ("adapter", names[0], names[2]),
        ("seed", names[1], names[2]),
    ]
    bodies = [content.split(b"\n", 1)[1] for content in arms(tmp_path).values()]
    assert len(set(bodies)) == 3


def test_zero_shot_only_needs_no_training_clips(clips, tokenizers, tmp_path):
    test = [p for p in clips[1] if p.split == "test"]
    summary = start_again(clips, tokenizers, tmp_path, ZERO_SHOT, test)
    assert [arm["adapter"] for arm in summary["arms"]] == [None] * 4 and not (tmp_path / "finetune").exists()
    assert {row["clip"] for row in summary["excluded"]} == {"empty", "torn", "missing", "long"}


# --- errors before anything is written


def test_no_train_split(clips, tokenizers, tmp_path):
    with pytest.raises(ValueError, match="give a train split, or finetune=False"):
        start_again(clips, tokenizers, tmp_path / "run", pairs=[p for p in clips[1] if p.split == "test"])
    assert not (tmp_path / "run").exists()


def test_no_usable_clip(clips, tokenizers, tmp_path):
    bad = [p for p in clips[1] if p.id in ("empty", "missing")]
    with pytest.raises(ValueError, match="none of 2 clips can be used; the first reason: .*empty.mp4"):
        start_again(clips, tokenizers, tmp_path / "a", ZERO_SHOT, bad)
    good = [p for p in clips[1] if p.id in ("t0", "trainbad")]
    with pytest.raises(ValueError, match="no training clip can be used; the first reason: .*trainbad.mp4"):
        start_again(clips, tokenizers, tmp_path / "b", CONFIG, good)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: [p for p in p if p.split == "train"], "no test pairs"),
        (lambda p: [*p, p[0]], "'t0' occurs twice"),
        (lambda p: [*p, replace(p[0], id="again", split="train")], "in train and in test.*t0.mp4"),
        (lambda p: [replace(p[0], question="Another?"), *p[1:]], "2 different questions"),
        (lambda p: [replace(q, choices=()) for q in p], "no choices, and no answer says which animal does what"),
    ],
)
def test_pairs_that_are_no_ablation(clips, tokenizers, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        start_again(clips, tokenizers, tmp_path / "run", pairs=change(clips[1]))
    assert not (tmp_path / "run").exists()
