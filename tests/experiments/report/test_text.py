"""Sentences follow the run's numbers, and know what a run lacks."""

import html

import pytest
from made_up_open_runs import ARMS, REPLIES, by_hand
from made_up_runs import RUNS

from llamavid_kit.experiments.report import choices, text
from llamavid_kit.experiments.run import Run


@pytest.mark.parametrize("name", RUNS)
def test_every_sentence_can_be_made(runs, name):
    run = runs[name]
    makers = (
        text.setting,
        text.clips,
        text.visibility,
        text.classes,
        text.training,
        text.seconds,
        text.limits,
    )
    sentences = [make(run) for make in makers]
    sentences += [text.accuracy(run, way) for way in run.answering]
    sentences += [text.family(run, family) for family in run.families]
    sentences += [text.mistakes(run, arm.name) for arm in run.arms] + [choices.written(run)]
    if "likelihood" in run.answering:
        sentences += [choices.rules(run), choices.calibration(run)]
    assert all(sentence.strip() and "nan" not in sentence for sentence in sentences)


def test_sentences_know_what_a_run_lacks(runs):
    assert "Nobody has marked" in text.visibility(runs["no_events"])
    assert "must not be taken for UCF-Crime's" in text.visibility(runs["normal"])
    assert "**Anything about frame rates.** One rate was run." in text.limits(runs["one_rate"])
    assert "fps" not in runs["one_rate"].families
    assert "**5 clips are too few" in text.clips(runs["one_rate"])
    assert "too few" not in text.clips(runs["normal"])


def test_a_factors_sentences_count_its_comparisons_alone(runs):
    run = runs["normal"]
    for family in run.families:
        p = [row["p_holm"] for row in run.summary["paired"] if row["family"] == family]
        expected = f"Of 4 comparisons, {sum(x < 0.05 for x in p)} have p < 0.05 after Holm's correction over them."
        assert text.family(run, family).endswith(expected)
    assert text.family(run, "fps").count("answered more of the same 330 clips right") == 2  # either way of answering
    assert "No clear difference" in text.family(runs["seeds"], "seed")
    assert len(runs["seeds"].seeds) == 2 and text.seed_spread(runs["seeds"]).count(" to ") == 2


def test_models_and_their_worlds_are_named(runs):
    words = text.setting(runs["normal"])
    assert "the model is **tiny** (tiny knows toy world), as it comes (zero-shot) and after fine-tuning on 20" in words
    assert "**330 clips** of **toy** (median length 8.0 s)" in words and "taken at 1 and 6 fps" in words
    assert html.unescape(words).endswith(f"> {runs['normal'].question}")
    assert "after fine-tuning" not in text.setting(runs["no_train"])


def test_packed_weights_are_said(runs, monkeypatch):
    run = runs["no_train"]
    assert "packed" not in text.setting(run)
    monkeypatch.setitem(run.config, "quantise", "4bit")
    assert "toy world), the language model's layers packed to 4 bits, as it comes" in text.setting(run)


def test_small_numbers_and_lists():
    assert [text.plural(n, "class", "classes") for n in (1, 2, 1200)] == ["1 class", "2 classes", "1,200 classes"]
    assert text.plural(1, "clip") == "1 clip" and text.plural(0, "clip") == "0 clips"


# --- an open question


def test_sentences_know_the_open_run(open_run, open_zero_shot):
    words = text.clips(open_run)
    assert "**5 test clips** whose true answers hold 7 claims about 3 animals" in words and "too few" in words
    assert "cannot read" not in words and "(2 of them)" in words and "1 of 5 (20.0%)" in words
    assert "these very clips** (3)" in text.clips(open_zero_shot)
    words = text.accuracy(open_run, "generation")
    assert "In 2 of 20 replies" in words
    assert "Better than it (the whole 95% interval lies above it): fine-tuned, 1 fps; fine-tuned, 4 fps" in words
    words = text.family(open_run, "fps")
    between = "between **fine-tuned, 1 fps** and **fine-tuned, 4 fps** on 5 clips"
    assert words.startswith(f"**No clear difference** {between}")
    assert "By mean score there is no clear difference: the second is +1.20" in words
    assert "Of 4 tests (2 comparisons" in words
    assert "a zero-shot model has not" in text.limits(open_run).replace("\n", " ")
    assert "zero-shot" not in text.limits(open_zero_shot)
    example = text.rule_example(open_run)
    assert 'begins with "lion&#58; walking"' in example and "score 4" in example


def test_what_the_rule_cannot_read_is_counted(open_run, tmp_path):
    by_hand(tmp_path / "run")
    run = Run(tmp_path / "run")
    assert text.clips(run) == text.clips(open_run)
    run.clips.loc[run.clips["clip"] == "t0", "label"] = "lovely day"
    assert "(1 of them the rule cannot read)" in text.clips(run)


def test_arms_without_spread_are_named(tmp_path):
    by_hand(tmp_path / "run", replies=REPLIES | {ARMS[0]: ("",) * 5})
    assert "**All clips score alike in: zero-shot, 1 fps.**" in text.accuracy(Run(tmp_path / "run"), "generation")
