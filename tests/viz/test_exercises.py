"""The course's exercises: an empty one is not right, its solution is, and a mistake is told for what it is."""

import re

import numpy as np
import pytest
import torch
from lessons import LESSONS, SOLUTIONS, code_cells

from llamavid_kit.evaluation.statistics import mcnemar_exact
from llamavid_kit.model.config import LlamaVidConfig
from llamavid_kit.model.planner import plan
from llamavid_kit.study import recount
from llamavid_kit.viz.checking import Exercise, verdict
from llamavid_kit.viz.exercises import EXERCISES, check


def checked(book: str) -> dict[str, tuple[str, str]]:
    """Function → the source of all that its check needs, and what the notebook kept of the check."""
    cells, found = code_cells(book), {}
    for i, cell in enumerate(cells):
        if named := re.search(r"^check\((\w+)\)$", cell.source, re.M):
            needed = cells[0] if book in SOLUTIONS else cells[i - 1]  # imports, or the empty function
            found[named[1]] = f"{needed.source}\n{cell.source}", "".join(out.text for out in cell.outputs)
    return found


ASKED = [name for lesson in LESSONS for name in checked(lesson)]
EMPTY = {name: cell for lesson in LESSONS for name, cell in checked(lesson).items()}
SOLVED = checked(*SOLUTIONS)


def test_every_exercise_is_asked_once_and_solved():
    assert sorted(ASKED) == sorted(EXERCISES) == sorted(SOLVED)


@pytest.mark.parametrize("name", EXERCISES)
def test_an_empty_function_is_not_right(name, capsys):
    source, kept = EMPTY[name]
    exec(source, {})
    assert capsys.readouterr().out == kept
    assert kept.startswith(f"Not yet. {name}(") and "gives None; expected" in kept


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_right(name, capsys):
    source, kept = SOLVED[name]
    exec(source, {})
    assert capsys.readouterr().out == kept
    assert kept.startswith(f"Right. {name} ")


@pytest.mark.parametrize(("name", "words"), [(name, words) for name in EXERCISES for words in EXERCISES[name].slips])
def test_a_typical_mistake_is_told(name, words):
    said = verdict(EXERCISES[name].slips[words], EXERCISES[name])
    assert said.startswith("Not yet. ") and said.endswith(f"\n{words}")


@pytest.mark.parametrize("name", EXERCISES)
def test_every_input_is_tried_and_every_mistake_thought_of(name):
    """One that is wrong on the last input alone is not right, and no mistake that might be it fails there itself."""
    right, inputs = EXERCISES[name].right, EXERCISES[name].inputs
    calls = iter(range(len(inputs)))
    said = verdict(lambda *given: "?" if next(calls) == len(inputs) - 1 else right(*given), EXERCISES[name])
    assert said.startswith("Not yet. ") and ("gives '?'" in said or name == "balance") and next(calls, None) is None


def test_checks_agree_with_the_library():
    for percent, n, decimals in EXERCISES["possible_counts"].inputs:
        expected = recount.possible_counts(percent, n, decimals=decimals)
        assert EXERCISES["possible_counts"].right(percent, n, decimals) == expected
    for one, two in EXERCISES["pair_arms"].inputs:
        *only, p = EXERCISES["pair_arms"].right(one, two)
        assert p == pytest.approx(mcnemar_exact(*only))
    config = LlamaVidConfig.llama_vid_7b_224_long_video()
    given = (5400, config.context, (1, 2, 6), (1, 2, 4), 128)
    fits = EXERCISES["settings_that_fit"].right(*given)
    for fps, k in [(fps, k) for fps in given[2] for k in given[3]]:
        content = f"grid:{k}" if k > 1 else "mean"
        assert plan(config, duration_s=5400, fps=fps, content=content).fits == ((fps, k) in fits)


TWICE = Exercise(lambda x: [2 * x, float(x)], inputs=[(3,), (4,)], slips={})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: (np.int64(2 * x), torch.tensor(float(x))), "Right."),  # other types, the same numbers
        (lambda x: [6, 3.0], "Not yet. <lambda>(4)\ngives [6, 3.0]; expected [8, 4.0]."),
        (lambda x: [2 * x + 1e-9, float(x)], "Not yet. <lambda>(3)\ngives [6.000000001, 3.0]; expected [6, 3.0]."),
        (lambda x: [2 * x], "Not yet. <lambda>(3)\ngives [6]; expected [6, 3.0]."),
        (lambda x: [2 * x, None], "Not yet. <lambda>(3)\ngives [6, None]; expected [6, 3.0]."),
        (lambda x: x / 0, "Not yet. <lambda>(3)\nraises ZeroDivisionError: division by zero"),
        (lambda: 0, "Not yet. <lambda>(3)\nraises TypeError: "),
    ],
)
def test_nothing_that_a_student_writes_stops_the_lesson(answer, said):
    assert verdict(answer, TWICE).startswith(said)


def test_what_was_given_must_stay_as_it_was():
    """The result is right, and the arguments are others now: the next call would get those."""

    def merge(weights, adapter, alpha):
        for name, (A, B) in adapter.items():
            weights[name] += alpha / len(A) * B @ A
        return weights

    assert "also changes what it was given" in verdict(merge, EXERCISES["merge"])
    assert EXERCISES["merge"].inputs[0][0]["q"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_function_by_another_name_is_no_answer(capsys):
    def glued(patches, side, across): ...

    check(glued)
    assert capsys.readouterr().out == "Not yet. No exercise asks for glued: keep the function's first line as it was.\n"
    check(...)
    assert capsys.readouterr().out.startswith("Not yet. No exercise asks for Ellipsis: ")
