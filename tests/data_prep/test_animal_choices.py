"""Questions with drawn distractors: exactly one choice is true, and nothing but the video tells which."""

import random
from collections import Counter

import pytest
from made_up_animals import ANIMALS, VERBS, choices_of, left_out, made_up_rows, only_sheet

from data_prep.animal_kingdom.choices import TASKS, collect, fold
from data_prep.animal_kingdom.lists import SHEET
from llamavid_kit.data.pairs import read_choices


def truth_of(rows, kind) -> dict[str, set[str]]:
    names = {
        "species": lambda pairs: {animal for animal, _ in pairs},
        "action": lambda pairs: {action for _, action in pairs},
        "class": lambda pairs: {ANIMALS[animal] for animal, _ in pairs},
    }[kind]
    return {code: names(pairs) for code, _, pairs in rows}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", TASKS)
def test_exactly_one_choice_is_true(animals, kind, seed):
    result = only_sheet(animals, seed=seed)
    truth, pairs = truth_of(made_up_rows(), kind), result.pairs[f"choice_{kind}"]
    assert len(pairs) >= 55
    for pair in pairs:
        true = truth[pair.id.removesuffix(f"-{kind}")]
        assert [choice for choice in pair.choices if choice in true] == [pair.answer]
        assert read_choices(pair.question) == pair.choices and pair.question.startswith(TASKS[kind])
        assert {pair.answer, *pair.extra["also_true"]} == true and pair.answer not in pair.extra["also_true"]
    sizes = Counter(len(pair.choices) for pair in pairs)
    assert set(sizes) <= {2, 3, 4} and (sizes[4] > 0.9 * len(pairs) or kind == "class")
    assert result.counts()["choices"][f"choice_{kind}"] == {str(n): k for n, k in sorted(sizes.items())}


def test_choices_do_not_depend_on_any_order(animals):
    rows = made_up_rows()
    first = choices_of(only_sheet(animals, rows))
    mixed = [(code, split, pairs[::-1]) for code, split, pairs in rows]
    random.Random(1).shuffle(mixed)
    assert choices_of(only_sheet(animals, mixed)) == first
    assert choices_of(only_sheet(animals, rows)) == first
    assert list(choices_of(only_sheet(animals, mixed))) != list(first), "the order of pairs is the list's"


def test_choices_depend_on_seed_and_video(animals):
    zero, one = (choices_of(only_sheet(animals, seed=seed)) for seed in (0, 1))
    assert sum(zero[name] != one[name] for name in zero.keys() & one.keys()) > 0.8 * len(zero)
    rows = [(f"SAME{i:04d}", "train", [("Meerkat", "Walking")]) for i in range(30)]
    same = choices_of(only_sheet(animals, rows + made_up_rows()))
    assert len({same[f"SAME{i:04d}-species"] for i in range(30)}) > 10


@pytest.mark.parametrize("n_choices", [2, 3, 4])
def test_the_true_answer_stands_anywhere(animals, n_choices):
    places, in_order = Counter(), 0
    for seed in range(10):
        for answer, choices in choices_of(only_sheet(animals, seed=seed, n_choices=n_choices)).values():
            if len(choices) == n_choices:
                places[choices.index(answer)] += 1
                in_order += list(choices) == sorted(choices)
    n = sum(places.values())
    assert n > 1000 and len(places) == n_choices
    assert all(abs(count / n - 1 / n_choices) < 4 * (0.25 / n) ** 0.5 for count in places.values())
    assert in_order < 0.6 * n, "neither are they in the order of the alphabet"


def test_every_true_name_of_a_video_can_be_the_answer(animals):
    rows = [("MANYMANY", "train", [("Lion", "Walking"), ("Orca", "Eating"), ("Hawk", "Yawning")]), *made_up_rows()]
    draws = [choices_of(only_sheet(animals, rows, seed=seed)) for seed in range(40)]
    assert {choices["MANYMANY-species"][0] for choices in draws} == {"Lion", "Orca", "Hawk"}
    assert {choices["MANYMANY-action"][0] for choices in draws} == {"Walking", "Eating", "Yawning"}


def test_distractors_are_drawn_as_often_as_they_are_true(animals):
    """Evenly drawn ones would give the most frequent name away."""
    often = [(f"OFTEN{i:03d}", "train", [("Hawk", "Sensing")]) for i in range(60)]
    rare = [(f"RARE{i:04d}", "train", [("Hawk", VERBS[i % 2])]) for i in range(60)]
    once = [(f"ONCE{i:04d}", "train", [("Hawk", f"Doing {i}")]) for i in range(20)]
    questions = choices_of(only_sheet(animals, [*often, *rare, *once]))
    with_it = sum("Sensing" in questions[f"RARE{i:04d}-action"][1] for i in range(60))
    assert with_it > 50, "3 of 22 names evenly drawn would be 8 of 60"


def test_names_that_say_the_same_are_not_in_one_question(animals):
    """An annotated Bird may be a Hawk, a Lion's cub is a Lion; the class keeps others apart from a general name."""
    for seed in range(30):
        for pair in only_sheet(animals, made_up_rows(80), seed=seed).pairs["choice_species"]:
            wrong = set(pair.choices) - {pair.answer}
            true = {pair.answer, *pair.extra["also_true"]}
            if true & {"Lion", "Lion Young"}:
                assert not wrong & {"Lion", "Lion Young"}
            if true & {"Great Egret", "Egret"}:
                assert not wrong & {"Great Egret", "Egret"}
            if pair.answer in ("Bird", "Egret", "Snake", "Frog"):
                assert not {ANIMALS[name] for name in wrong} & {ANIMALS[name] for name in true}
            if wrong & {"Bird", "Snake"}:
                assert not {ANIMALS[n] for n in wrong & {"Bird", "Snake"}} & {ANIMALS[n] for n in true}


def test_an_animal_of_no_known_class_does_not_stand_beside_a_general_name(animals):
    rows = [(f"MYSTERY{i}", "train", [("Mystery", "Eating")]) for i in range(40)] + made_up_rows()
    n = 0
    for seed in range(5):
        for pair in only_sheet(animals, rows, seed=seed).pairs["choice_species"]:
            if pair.answer in ("Bird", "Egret", "Snake", "Frog"):
                assert "Mystery" not in pair.choices
            n += "Mystery" in pair.choices and pair.answer != "Mystery"
    assert n > 50


def test_general_names():
    videos = [(["Worm"], ["Worm"]), (["Sea Star", "Leech"], ["Worm"]), (["Star"], []), (["Lion", "Lion Young"], [])]
    assert collect("species", videos).general == {"worm", "star"}, "a class, a part of another name"
    assert collect("species", [(["Snake"], [])]).general == {"snake"}
    assert collect("action", [(["Shaking", "Shaking Head"], [])]).general == set()


@pytest.mark.parametrize("kind", TASKS)
def test_no_name_gives_itself_away(animals, kind):
    """Whoever is offered is wrong more often than right: also a Bird, which must not stand beside any bird."""
    alone = [(f"ALONE{i:03d}", "train", [(animal, VERBS[i % 8])]) for i, animal in enumerate([*ANIMALS] * 2)]
    right, offered = Counter(), Counter()
    for seed in range(10):
        for pair in only_sheet(animals, made_up_rows() + alone, seed=seed).pairs[f"choice_{kind}"]:
            right[pair.answer] += 1
            offered.update(pair.choices)
    assert kind != "species" or {"Bird", "Snake", "Frog", "Egret"} <= set(right)
    assert len(offered) >= 5 and max(right[name] / n for name, n in offered.items()) < 0.5


def test_a_row_without_classes_says_nothing_about_them():
    videos = [(["Bird", "Lion"], ["Bird", "Mammal"]), (["bird"], []), (["Bird", "Frog"], ["Amphibian", "Bird"])]
    names = collect("species", videos)
    assert names.classes == {"bird": {"bird"}, "lion": {"bird", "mammal"}, "frog": {"amphibian", "bird"}}
    assert collect("species", videos[::-1]) == names


def test_general_names_without_classes(animals):
    rows = [
        ("BIRDONLY", "test", [("Bird", "Walking")]),
        ("BOTHBOTH", "train", [("Bird", "Eating"), ("Orca", "Eating")]),
    ]
    result = only_sheet(animals, [*rows, *made_up_rows()], classes=False)
    assert ("BIRDONLY", "general name") in left_out(result, "choice_species")
    questions = choices_of(result)
    assert questions["BOTHBOTH-species"][0] == "Orca" and "BIRDONLY-action" in questions
    for pair in result.pairs["choice_species"]:
        assert not set(pair.choices) & {"Bird", "Snake", "Egret", "Frog"}


def test_names_that_no_question_can_hold(animals):
    rows = [
        ("COMMA001", "train", [("Bee, Honey", "Flying"), ("Orca", "Swimming")]),
        ("COMMA002", "test", [("Bee, Honey", "Flying")]),
        ("STOP0001", "test", [("Anax sp.", "Flying")]),
    ]
    result = only_sheet(animals, [*rows, *made_up_rows()])
    questions = choices_of(result)
    assert questions["COMMA001-species"][0] == "Orca"
    assert [e for e in left_out(result) if e[1] == "name"] == [("COMMA002", "name"), ("STOP0001", "name")]
    assert "'Bee, Honey'" in result.excluded[0].detail and f"{SHEET}, line 3" in result.excluded[0].detail
    assert result.refused == {"choice_species": ["Anax sp.", "Bee, Honey"]}
    assert any("'Bee, Honey'" in note for note in result.notes)
    for _, choices in questions.values():
        assert not set(choices) & {"Bee, Honey", "Anax sp."}
    (turns,) = [c.turns for c in result.conversations if c.id == "COMMA002-actions"]
    assert turns[0][1] == "The distinct species I see are Bee, Honey", "a conversation may hold the name"


def test_letter_case_is_no_difference(animals):
    rows = [(f"CASE{i:04d}", "train", [("Fox", "Shaking Head"), ("fox", "Shaking  head")]) for i in range(3)]
    rows += [("ONEONEON", "train", [("FOX", "shaking head")]), ("OTHEROTH", "train", [("Orca", "Eating")])]
    result = only_sheet(animals, rows, classes=False)
    for pair in result.pairs["choice_species"]:
        assert set(map(fold, pair.choices)) == {"fox", "orca"}
        assert pair.answer == ("Orca" if pair.id.startswith("OTHER") else "Fox"), "the spelling that is used most"
        assert pair.extra["also_true"] == []
    assert {p.answer for p in result.pairs["choice_action"]} == {"Shaking Head", "Eating"}
    assert result.conversations[0].turns[0][1] == "The distinct species I see are Fox"


def test_too_few_names(animals):
    result = only_sheet(
        animals, [("AAAAAAAA", "train", [("Orca", "Eating")]), ("BBBBBBBB", "train", [("Orca", "Swimming")])]
    )
    assert left_out(result, "choice_species") == [("AAAAAAAA", "too few names"), ("BBBBBBBB", "too few names")]
    assert [len(p.choices) for p in result.pairs["choice_action"]] == [2, 2]
    assert result.counts()["choices"]["choice_action"] == {"2": 2}
    with pytest.raises(ValueError, match="n_choices=1"):
        only_sheet(animals, n_choices=1)
