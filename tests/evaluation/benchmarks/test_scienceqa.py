"""ScienceQA: letters as the original reads them, and pictures of one name."""

from made_up_benchmarks import MAKERS
from official_scripts import scienceqa_report

from llamavid_kit.evaluation.benchmarks import benchmark, scienceqa


def test_the_original_says_an_answer_once():
    letters = {"The answer is A.": "A", "The answer is A. The answer is A.": None, "A.b": None}
    letters |= {"A. b": "A", "A.": None}
    assert {reply: scienceqa.original_letter(reply) for reply in letters} == letters


def test_a_prompt_that_talks_of_an_image_shows_none():
    problems = {"1": {"choices": ["a", "b"], "answer": 0}}
    report = scienceqa_report(problems, ["1"], {"1": {"text": "A", "prompt": "In the image, which?"}})
    assert (report["img_total"], report["correct"]) == (0, 1)


def test_pictures_of_one_name_are_several(tmp_path):
    """ScienceQA calls each picture image.png, in a folder of its own."""
    MAKERS["scienceqa"](tmp_path)
    items = benchmark("scienceqa").load(tmp_path)
    assert len({item.group for item in items}) == len({item.media for item in items}) > 1
    assert {item.media.name for item in items} == {"image.png"}
