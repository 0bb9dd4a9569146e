"""PredictionBrowser over a made-up run, driven by its controls and read back from its figures; no browser."""

import made_up_open_runs
import made_up_runs
import numpy as np
import pytest
import small
from driving import click, saved, words
from matplotlib.patches import Rectangle

from llamavid_kit.experiments.browser import PredictionBrowser
from llamavid_kit.experiments.browser_figures import cell_clips, probabilities, replies
from llamavid_kit.experiments.report.single_clips import chosen_frames, receipt
from llamavid_kit.experiments.run import Run

LABELS = ("Red", "Blue", "Nothing")


@pytest.fixture
def run(tmp_path):
    """A run of 30 clips with likelihoods; the choice that an arm made has 0.8 of the probability."""
    made = made_up_runs.MadeUp({(False, 1): 0.3, (True, 6): 0.7}, n_test=30, labels=LABELS, groups=False)
    return made_up_runs.write_run(tmp_path / "run", made)


def test_a_cell_holds_as_many_clips_as_it_says(run):
    run = Run(run)
    for arm in run.summary["arms"]:
        counts = [
            [len(cell_clips(run, arm["name"], row, column)) for column in arm["columns"]] for row in arm["labels"]
        ]
        assert counts == [list(row) for row in arm["confusion"]]
    assert any("no label" in arm["columns"] for arm in run.summary["arms"])


def test_a_click_shows_the_cells_clips_with_every_arms_reply_and_probabilities(run):
    browser = PredictionBrowser(run)
    arm = browser.run.scores[browser.arm.value]
    np.testing.assert_allclose(browser.chart.figure.data[0].z, np.array(arm["confusion"]) / 10)
    truth, answered = next(
        (t, a) for t in LABELS for a in LABELS if t != a and len(cell_clips(browser.run, arm["name"], t, a))
    )

    click(browser.chart, trace=0, index=[LABELS.index(truth), LABELS.index(answered)], x=answered, y=truth)
    rows = browser.run.of(arm["name"]).query("truth == @truth and label == @answered")
    expected = rows["clip"].tolist()
    assert list(browser.clip.options) == expected and browser.clip.value == expected[0]
    box = browser.chart.figure.layout.shapes[0]
    assert (box.x0, box.y0) == (LABELS.index(answered) - 0.5, LABELS.index(truth) - 0.5)
    view = browser._clip_view.value
    assert expected[0] in view and all(browser.run.name_in_tables(other) in view for other in browser.run.arms)
    table = probabilities(browser.run, expected[0])
    assert table.sum().tolist() == pytest.approx([1, 1]) and table.max().tolist() == pytest.approx([0.8, 0.8])
    chosen = replies(browser.run, expected[0]).query("answering == 'likelihood'")["label"].tolist()
    assert table.idxmax().tolist() == chosen
    assert [bar.y.tolist() for bar in browser.chances.figure.data] == [table[arm].tolist() for arm in table]
    assert f"true: {truth}" in words(browser.figure())


def test_the_browser_saves_the_matrix_and_the_clip(run, tmp_path):
    browser = PredictionBrowser(run)
    page = saved(browser, tmp_path)
    assert f"<b>{browser.clip.value}</b>" in page and page.count('class="plotly-graph-div"') == 2
    assert '"shapes":[{' in page  # the frame around the chosen cell


def test_another_arm_and_another_clip_change_what_is_seen(run):
    browser = PredictionBrowser(run)
    first = browser.chart.figure.data[0].z.copy(), browser._clip_view.value
    browser.clip.index = 1
    assert browser.clip.value in browser._clip_view.value and browser._clip_view.value != first[1]
    browser.arm.index = 2
    assert (
        not np.array_equal(browser.chart.figure.data[0].z, first[0])
        and "fine-tuned" in browser.chart.figure.layout.title.text
    )


def test_labels_are_text_and_no_link(tmp_path):
    """plotly makes links of them; a click on a cell still means the label as it is."""
    labels = ('<a href="https://x.invalid">Red</a>', "Salt & pepper", "Nothing")
    made = made_up_runs.MadeUp({(False, 1): 0.3, (True, 6): 0.7}, n_test=12, labels=labels, groups=False)
    browser = PredictionBrowser(made_up_runs.write_run(tmp_path / "run", made))
    for figure in (browser.chart.figure, browser.chances.figure):
        assert "<a" not in figure.to_json() and "\\u003ca" not in figure.to_json()
    x, y = (browser.chart.figure.data[0][axis][k] for axis, k in (("x", 1), ("y", 0)))
    click(browser.chart, trace=0, index=[0, 1], x=x, y=y)
    assert (browser.truth.value, browser.answered.value) == labels[:2]


def test_replies_are_text_and_no_markup(run):
    browser = PredictionBrowser(run)
    silent = browser.run.replies[browser.run.replies["label"].isna()].iloc[0]
    browser.arm.value, browser.truth.value, browser.answered.value = silent["key"], silent["truth"], "no label"
    browser.clip.value = silent["clip"]
    assert "a &lt;b&gt;dog&lt;/b&gt;" in browser._clip_view.value and "<b>dog" not in browser._clip_view.value


def test_frames_are_shown_where_the_clip_is_and_its_absence_is_reported(run, tmp_path):
    assert "name the clips&#x27; folder: PredictionBrowser(…, root=…)" in PredictionBrowser(run)._clip_view.value
    browser = PredictionBrowser(run, root=tmp_path)
    assert "root=" not in browser._clip_view.value
    assert "no such file" in browser.message and "true class" in browser._clip_view.value and not browser.frames
    small.write_clip(tmp_path / f"{browser.clip.options[1]}.mp4", seconds=8)
    browser.clip.index = 1
    assert browser.message == "" and browser._clip_view.value.count("<img") == 8
    assert [s for s, _, _ in browser.frames] == pytest.approx(range(8)) and "2.0 s" in words(browser.figure())
    small.write_clip(tmp_path / f"{browser.clip.options[2]}.mp4", seconds=3)
    browser.clip.index = 2
    assert "has no frame at 7.00 s, which the arm saw: it is another clip" in browser.message and not browser.frames


def test_the_receipt_says_whether_the_arm_saw_the_event(run):
    run = Run(run)
    clip = run.test.iloc[0]["clip"]
    slow, fast = (next(a["name"] for a in run.summary["arms"] if a["fps"] == fps) for fps in (1, 6))

    def seconds_and_sentence(key, *events):
        run.clips.at[run.clips.index[run.clips["clip"] == clip][0], "events"] = list(events)
        times, inside, text = receipt(run, key, clip)
        return times[inside].round(2).tolist(), text

    assert seconds_and_sentence(slow, (2.3, 2.8)) == (
        [],
        "zero-shot, 1 fps saw 8 frames (16 tokens), 0 of them in the event (2.30 to 2.80 s): it lies between two "
        "frames.",
    )
    times, sentence = seconds_and_sentence(fast, (2.3, 2.8))
    assert times == [2.33, 2.5, 2.67] and "48 frames (96 tokens), 3 of them" in sentence
    assert seconds_and_sentence(slow, (1.0, 2.0), (4.9, 5.1))[0] == [1, 5]
    many = seconds_and_sentence(slow, (1.0, 2.0), (1.5, 2.5), (4.9, 5.1))
    assert many == ([1, 2, 5], "zero-shot, 1 fps saw 8 frames (16 tokens), 3 of them in one of its 3 events.")
    assert (
        seconds_and_sentence(slow)[1] == "zero-shot, 1 fps saw 8 frames (16 tokens); no event is marked in this clip."
    )


def test_of_many_frames_one_of_the_event_is_shown():
    inside = np.zeros(36, bool)
    assert chosen_frames(inside) == list(range(0, 36, 5))
    inside[22:24] = True
    assert chosen_frames(inside) == [0, 5, 10, 15, 20, 23, 30, 35]  # 25 is nearest to 23
    inside[20] = True
    assert chosen_frames(inside) == list(range(0, 36, 5))
    assert chosen_frames(np.ones(3, bool)) == [0, 1, 2]


def test_the_static_picture_frames_the_cell_and_shows_probabilities(run):
    browser = PredictionBrowser(run)
    rows = browser.run.replies
    wrong = rows[~rows["correct"].astype(bool)].dropna(subset="label").iloc[-1]
    browser.arm.value, browser.truth.value, browser.answered.value = wrong["key"], wrong["truth"], wrong["label"]
    browser.clip.value = wrong["clip"]
    figure = browser.figure()
    box = next(p for p in figure.findobj(Rectangle) if p.get_linewidth() == 3.5)
    assert (box.get_x(), box.get_y()) == (LABELS.index(wrong["label"]), LABELS.index(wrong["truth"]))
    text, table = words(figure), probabilities(browser.run, wrong["clip"])
    assert "probability of the choice" in text and f"→ {wrong['truth'].upper()}" in text
    bars = [p.get_height() for p in figure.findobj(Rectangle) if p.get_height() in table.to_numpy()]
    assert bars == table.to_numpy().T.ravel().tolist()
    assert all(f"{arm}, likelihood" in text for arm in table)
    browser.run.replies = browser.run.replies.assign(label=None)  # then no cell has a clip
    browser.answered.value = LABELS[1] if wrong["label"] != LABELS[1] else LABELS[2]
    assert browser.clip.value is None and browser.chances.figure is None
    assert "probability of the choice" not in words(browser.figure())
    assert browser.figure().get_figheight() < figure.get_figheight() - 3


def test_folders_that_are_no_run_and_empty_cells_are_reported(run, tmp_path):
    browser = PredictionBrowser(tmp_path)
    assert "config.json is not there" in browser.message
    with pytest.raises(ValueError, match="not there"):
        browser.figure()
    browser = PredictionBrowser(run)
    arm = browser.run.summary["arms"][0]["name"]
    browser.run.replies = browser.run.replies.drop(cell_clips(browser.run, arm, "Red", "Blue").index)
    browser.truth.value, browser.answered.value = "Red", "Blue"
    assert browser.message == "No clip of Red was answered Blue." and browser.clip.options == ()
    browser.figure()


def test_an_open_run_has_no_matrix(tmp_path):
    made_up_open_runs.by_hand(tmp_path / "open")
    browser = PredictionBrowser(tmp_path / "open")
    assert "asked an open question: its replies have no classes to confuse" in browser.message


def test_every_part_of_the_picture_lies_in_the_figure_itself(run, tmp_path):
    """Matrix, a film of eight frames, replies and bars: no part lies over another."""
    browser = PredictionBrowser(run, root=tmp_path)
    small.write_clip(tmp_path / f"{browser.clip.value}.mp4", seconds=8)
    browser.clip.index = 1
    browser.clip.index = 0
    figure = browser.figure()
    assert not figure.subfigs and len([ax for ax in figure.axes if ax.images]) == len(browser.frames) == 8
    matrix, bars = figure.axes[0], figure.axes[-1]
    films = [ax.get_position() for ax in figure.axes if ax.images]
    assert matrix.get_position().y0 > max(box.y1 for box in films) and bars.get_position().y1 < min(b.y0 for b in films)
