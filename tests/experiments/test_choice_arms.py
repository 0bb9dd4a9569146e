"""Arms in other words and with shuffled options: same clips, paired shuffles, nothing else changed, all recorded."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small import LABELS, QUESTION, pair, small_model, write_clip

from llamavid_kit.__main__ import parser
from llamavid_kit.data.video import Video
from llamavid_kit.evaluation.statistics import holm
from llamavid_kit.experiments.ablation import ablate
from llamavid_kit.experiments.arms import AblationConfig, Arm
from llamavid_kit.experiments.prompts import PROMPTS, shuffled, worded
from llamavid_kit.experiments.report import tables as report_tables
from llamavid_kit.experiments.report import tables_choices as choice_tables
from llamavid_kit.experiments.report import text_choices as choice_findings
from llamavid_kit.experiments.report.page import write_report
from llamavid_kit.experiments.run import Run
from llamavid_kit.experiments.summary import read_arm
from llamavid_kit.experiments.tasks import ClosedQuestion
from llamavid_kit.model.answering import answer_ids, choice_log_likelihood
from llamavid_kit.model.frame_cache import FrameCache

PLAIN = AblationConfig(model="small", fps=(1, 3), finetune=False, batch=2, max_new_tokens=3)
CONFIG = replace(PLAIN, prompts=("study", "plain", "short"), shuffle_choices=7)
ASKED = ClosedQuestion(QUESTION, LABELS)
N = 7


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    for k in range(N):
        write_clip(root / f"t{k}.mp4", seconds=1.5, label=LABELS[k % 3], seed=k)
    return root, [pair(f"t{k}", LABELS[k % 3]) for k in range(N)]


def go(clips, tokenizers, out, config=CONFIG) -> dict:
    return ablate(clips[1], root=clips[0], out=out, config=config, model=small_model(*tokenizers))


@pytest.fixture(scope="module")
def run(clips, tokenizers, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return out, go(clips, tokenizers, out)


def lines_of(out: Path, name: str) -> list[dict]:
    return read_arm(out / "arms" / f"{name}.jsonl")[1]


def test_every_combination_is_an_arm_and_the_first_are_the_usual_ones(run, clips, tokenizers, tmp_path):
    """Asking more changes nothing of what is asked by default, byte for byte."""
    out, summary = run
    names = [arm["name"] for arm in summary["arms"]]
    assert len(names) == len(set(names)) == 2 * 2 * 3 * 2
    assert names[:4] == [f"zero-shot-{fps}fps-{way}" for fps in (1, 3) for way in ("generation", "likelihood")]
    assert "zero-shot-3fps-short-shuffled7-likelihood" in names
    go(clips, tokenizers, tmp_path, PLAIN)
    assert [arm.name for arm in PLAIN.arms()] == names[:4]
    for name in names[:4]:
        assert (tmp_path / "arms" / f"{name}.jsonl").read_bytes() == (out / "arms" / f"{name}.jsonl").read_bytes()
    plain = json.loads((tmp_path / "summary.json").read_text())["paired"]
    assert plain == [row for row in summary["paired"] if row["family"] == "rates and training"]


def test_all_arms_see_the_same_clips_and_each_heads_its_file(run):
    for arm in CONFIG.arms():
        head, lines = read_arm(run[0] / "arms" / f"{arm.name}.jsonl")
        assert [line["clip"] for line in lines] == [f"t{k}" for k in range(N)]
        assert head["question"] == worded(QUESTION, arm.prompt, LABELS)
        assert head.get("prompt", {}).get("name") == (None if arm.prompt == "study" else arm.prompt)
        assert head.get("prompt", {"source": "ours"})["source"] == "ours"
        assert head.get("shuffle_choices") == arm.shuffle


def test_the_same_clip_gets_the_same_shuffle_in_every_arm(run):
    """Paired: prompt, rate and way of answering play no part; clips differ."""
    orders = [
        [tuple(line["options"]) for line in lines_of(run[0], arm.name)]
        for arm in CONFIG.arms()
        if arm.shuffle is not None
    ]
    assert len(orders) == 12 and all(order == orders[0] for order in orders)
    assert orders[0] == [shuffled(LABELS, seed=7, clip=f"t{k}") for k in range(N)] and len(set(orders[0])) > 2
    assert all("options" not in line for a in CONFIG.arms() if a.shuffle is None for line in lines_of(run[0], a.name))


@pytest.mark.parametrize("arm", [Arm(1, None, "likelihood", "plain"), Arm(3, None, "likelihood", "short", 7)])
def test_likelihoods_are_those_of_the_words_that_were_asked(run, clips, tokenizers, arm):
    """Clip by clip with the model itself: question, order, and the tokens that the text decoder made of it."""
    model = small_model(*tokenizers)
    cache = FrameCache(model)
    for k, line in enumerate(lines_of(run[0], arm.name)):
        options = LABELS if arm.shuffle is None else shuffled(LABELS, seed=7, clip=f"t{k}")
        question = worded(QUESTION, arm.prompt, options)
        tokens, _ = cache.tokens(Video(clips[0] / f"t{k}.mp4"), question, fps=arm.fps)
        expected = choice_log_likelihood(model, question, [tokens], options)[0]
        assert list(line["log_likelihood"]) == list(options)
        assert list(line["log_likelihood"].values()) == pytest.approx(expected, abs=2e-3)
        assert line["n_tokens"] == {x: len(answer_ids(model, question, x)) for x in options}
        assert line["label"] == options[int(expected.argmax())]


def test_a_killed_run_goes_on(run, clips, tokenizers, tmp_path):
    own = Path(shutil.copytree(run[0], tmp_path / "run"))
    path = own / "arms" / "zero-shot-3fps-plain-shuffled7-likelihood.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    (own / "arms" / "zero-shot-3fps-short-generation.jsonl").unlink()
    again = go(clips, tokenizers, own)
    assert path.read_bytes() == whole and again["arms"] == run[1]["arms"] and again["paired"] == run[1]["paired"]


def test_another_shuffle_or_prompt_is_another_run(run, clips, tokenizers, tmp_path):
    own = Path(shutil.copytree(run[0], tmp_path / "run"))
    with pytest.raises(ValueError, match="differ in shuffle_choices"):
        go(clips, tokenizers, own, replace(CONFIG, shuffle_choices=8))
    with pytest.raises(ValueError, match="differ in prompts"):
        go(clips, tokenizers, own, replace(CONFIG, prompts=("study", "plain")))


def test_a_run_from_before_these_settings_is_the_same_run(clips, tokenizers, tmp_path):
    go(clips, tokenizers, tmp_path, PLAIN)
    config = json.loads((tmp_path / "config.json").read_text())
    assert "prompts" not in config and "shuffle_choices" not in config
    head = json.loads((tmp_path / "arms" / "zero-shot-1fps-likelihood.jsonl").read_text().split("\n")[0])["arm"]
    assert set(head) == {"name", "model", "fps", "answering", "question", "finetune", "rule"}


def test_prompts_and_orders_are_compared_in_pairs_with_holm_of_their_own(run):
    rows = {family: [r for r in run[1]["paired"] if r["family"] == family] for family in ("prompts", "order")}
    assert len(rows["prompts"]) == 3 * 2 * 2 and len(rows["order"]) == 3 * 2 * 2
    for family in rows.values():
        assert [r["p_holm"] for r in family] == pytest.approx(holm([r["p"] for r in family]))
        for row in family:
            a, b = ({x["clip"]: x["label"] == x["truth"] for x in lines_of(run[0], row[side])} for side in "ab")
            assert row["only_a"] == sum(a[c] and not b[c] for c in a) and row["n"] == N
    assert all("shuffled" not in r["a"] and r["b"].count("shuffled7") == 1 for r in rows["order"])
    assert all(r["a"].replace("-plain", "") != r["a"] or "fps-" in r["a"] for r in rows["prompts"])


def test_vision_is_done_once_for_all_words(clips, tokenizers, monkeypatch):
    """Six questions, one pass of the frames; the tokens are those of asking one by one."""
    model, questions = small_model(*tokenizers), [worded(QUESTION, name, LABELS) for name in PROMPTS]
    video, passes = Video(clips[0] / "t0.mp4"), []
    encode = model.encode_frames
    monkeypatch.setattr(model, "encode_frames", lambda pixels: passes.append(len(pixels)) or encode(pixels))
    indices = np.array([0, 4, 9])
    together = FrameCache(model).compute(video, questions, indices)
    assert passes == [3]
    for question, found in zip(questions, together, strict=True):
        (alone,) = FrameCache(model).compute(video, [question], indices)
        assert (alone.context == found.context).all() and (alone.content == found.content).all()
    assert not (together[0].context == together[1].context).all()


# --- configuration and command


@pytest.mark.parametrize("prompts", [(), ("polite",), ("study", "study")])
def test_prompts_that_are_refused(prompts):
    with pytest.raises(ValueError, match="prompts="):
        AblationConfig(prompts=prompts)


def test_open_questions_have_no_other_words():
    class Open:
        text, labels = "What do the animals do?", ()

    config = AblationConfig(answering=("generation",), max_new_tokens=128, shuffle_choices=1)
    with pytest.raises(ValueError, match="shuffle_choices=1 is for questions with labels"):
        config.check(Open())


def test_the_command_line():
    usual = ["ablate", "--pairs", "a.jsonl", "--out", "o"]
    given = parser(usual).parse_args([*usual, "--prompts", "study,short", "--shuffle-choices", "3"])
    assert (given.prompts, given.shuffle_choices) == ("study,short", 3)
    given = parser(usual).parse_args(usual)
    assert (given.prompts, given.shuffle_choices) == ("study", None)


# --- the report


def recount(run, key):
    rows = run.arms[run.arms["key"] == key]
    right = {"raw": 0, "per token": 0}
    for row in rows.itertuples():
        values = {label: (v, v / row.n_tokens[label]) for label, v in row.log_likelihood.items()}
        for k, rule in enumerate(right):
            best = max(run.labels, key=lambda label, k=k: values[label][k])
            right[rule] += best == row.truth
    return right


def test_tables_of_the_run(run):
    read = Run(run[0])
    read.check()
    table = choice_tables.rules_table(read)
    assert len(table) == 12 and len({*read.arms["n_tokens"].dropna().map(lambda x: x["Green light"] != x["Red"])}) == 1
    keys = report_tables.arm_counts(read, "likelihood", every=True)["key"]
    for key, row in zip(keys, table.to_dict("records"), strict=True):
        right = recount(read, key)
        for rule in right:
            assert row[f"right, {rule}"].startswith(f"{right[rule]}/{N} ")
    assert len(choice_tables.calibration_table(read)) == 24 and len(choice_tables.prompt_pairs(read)) == 12
    order = choice_tables.order_table(read)
    assert len(order) == 12 and len(choice_tables.position_table(read)) >= 12
    for row, (a, b) in zip(order.to_dict("records"), choice_tables.order_pairs(read), strict=True):
        one, two = (read.arms[read.arms["key"] == key].set_index("clip") for key in (a, b))
        turned = [list(x) != list(LABELS) for x in two["options"]]
        labels = zip(one["label"].fillna("-"), two["label"].fillna("-"), turned, strict=True)
        assert row["another order"] == sum(turned)
        assert row["another choice"].startswith(f"{sum(x != y and t for x, y, t in labels)} =")
    assert list(choice_tables.prompts_asked(read)["worded by"]) == ["the study's script", "ours", "ours"]
    assert all(len(t) for t in choice_tables.all_tables(read).values())


def test_main_tables_hold_the_main_arms_alone(run):
    read = Run(run[0])
    for mode in read.answering:
        assert len(report_tables.accuracy_table(read, mode)) == 2
        assert len(choice_tables.prompt_table(read, mode)) == 12
        assert set(report_tables.per_class(read, mode)["arm"]) == {"zero-shot, 1 fps", "zero-shot, 3 fps"}
    assert len(report_tables.paired(read)) == 2 and len(report_tables.paired(read, family=None)) == 26


def test_sentences_of_the_run(run):
    read = Run(run[0])
    said = {
        name: getattr(choice_findings, name)(read) for name in ("rules", "calibration", "places", "order", "prompts")
    }
    assert "likeliest as the whole answer" in said["rules"] and "The two disagree on" in said["rules"]
    assert said["calibration"].count("- ") >= 12 and "every label stands in every place" in said["places"]
    assert said["order"].count("zero-shot") == 12 and "of 12 pairs of prompts differ" in said["prompts"]


def without(folder: Path, *names: str) -> Run:
    """The run as an older version wrote it."""
    for path in (folder / "arms").iterdir():
        head, *lines = path.read_text().splitlines()
        kept = [json.dumps({k: v for k, v in json.loads(line).items() if k not in names}) for line in lines]
        path.write_text("\n".join([head, *kept]) + "\n")
    summary = json.loads((folder / "summary.json").read_text())
    for arm in summary["arms"]:
        for name in ("prompt", "shuffle", "rule"):
            arm.pop(name)
    for row in summary["paired"]:
        row.pop("family")
    (folder / "summary.json").write_text(json.dumps(summary))
    return Run(folder)


@pytest.mark.parametrize("names", [("n_tokens",), ("n_tokens", "log_likelihood")])
def test_an_older_run_says_what_it_did_not_record(clips, tokenizers, tmp_path, names):
    go(clips, tokenizers, tmp_path, PLAIN)
    read = without(tmp_path, *names)
    table = choice_tables.rules_table(read)
    assert set(table["right, per token"]) == {"not recorded"}
    assert ("not recorded" in set(table["right, raw"])) == ("log_likelihood" in names)
    assert "not recorded" in choice_findings.rules(read) and not read.varied
    recorded = "log_likelihood" not in names
    assert ("not recorded" in choice_findings.calibration(read)) == (not recorded)
    assert (choice_tables.figure(read, "calibration") is not None) == recorded
    assert len(report_tables.accuracy_table(read, "likelihood")) == 2 and len(report_tables.paired(read)) == 2


def test_the_rule_is_in_every_table_about_labels(run):
    """Whoever finds one CSV of a run reads in it which rule made its labels."""
    read = Run(run[0])
    silent = {"class_sizes", "excluded", "visibility", "seconds", "prompts"}
    tables = report_tables.all_tables(read) | choice_tables.all_tables(read)
    for name, table in tables.items():
        named = "rule" in table or {"right, raw", "right, per token"} <= set(table)
        assert named != (name in silent), name
        if "rule" in table and "generation" in name:
            assert set(table["rule"]) == {"rule normalised"}, name
    header = (run[0] / "results.csv").read_text().split("\n")[0]
    assert ",rule," in header and set(report_tables.discordant(read, *read_pair(read))["rule"]) <= {"rule normalised"}


def read_pair(read):
    row = report_tables.paired(read, "generation").iloc[0]
    return row["key_a"], row["key_b"]


def test_the_curve_shows_what_the_bins_hold(run):
    read = Run(run[0])
    fig = choice_tables.figure(read, "calibration")
    bins = choice_tables.calibration_bins(read)
    bins = bins[bins["main"] & (bins["rule"] == "raw") & (bins["arm"] == "zero-shot, 3 fps")].sort_values("said")
    line = fig.axes[0].containers[1].lines[0]
    assert line.get_xdata() == pytest.approx(bins["said"]) and line.get_ydata() == pytest.approx(
        bins["correct"] / bins["n"]
    )
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["likeliest choice, raw", "likeliest choice, per token"]
    assert f"zero-shot, 3 fps (n = {N})" in [t.get_text() for t in fig.axes[-1].get_legend().get_texts()]


def test_the_report_of_a_run_in_other_words(run, tmp_path):
    """One page: every sentence and table of the section, the prompts in full, and the rule of every table."""
    own = Path(shutil.copytree(run[0], tmp_path / "run"))
    page = write_report(own).read_text()
    section = page[page.index("8. Does the answer depend") : page.index("9. Fine-tuning")]
    for said in ("not recorded", "Nothing to list"):
        assert said not in section
    assert "What does the video show: Red, Green light, or Blue?" in section and "the study's script" in section
    assert 'alt="Figure: Is it as sure as it is right?"' in section
    assert "The words and orders of section 8" in page and "One wording of one question" not in page
    assert (own / "figures" / "calibration.png").stat().st_size > 0
    written = {path.stem for path in (own / "tables").iterdir()}
    assert written >= {
        "positions",
        "choice_rules",
        "calibration",
        "prompt_pairs",
        "order_changes",
        "all_words_generation",
    }
