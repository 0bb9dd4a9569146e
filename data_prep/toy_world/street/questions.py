"""Questions about a clip with true answers: open ones with short natural answers, yes/no, and multiple choice in the
study's phrasing about anything but crimes. Knows a plan's facts; the words are in `wording`.

An event is put into words only if its kind is in `allowed`; a clip with any other event gets scene questions only. The
answers hold for the whole clip. Whoever samples so few frames that the event is not seen asks about `plan.twin()`.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from data_prep.toy_world.asking import Question, closed_question, draw_choices, phrase
from data_prep.toy_world.palette import COLOURS, LIGHT, WALLS
from data_prep.toy_world.street import wording
from data_prep.toy_world.street.clip import BENIGN_KINDS, SEEN_KINDS, ClipPlan
from data_prep.toy_world.street.wording import ACTION_WORDS, ASK, EVENT_WORDS, NUMBER_WORDS, UNDENIED

Facts = dict[str, Any]
ALLOWED = (*SEEN_KINDS, *BENIGN_KINDS)
ACTIONS = {"walk": "walks", "sit": "sits", "lie": "lies on the ground"}
NEW_WORDS = 0.3  # of multiple choice about events: one of the choices has a name that nobody knows


def questions(plan: ClipPlan, rng: np.random.Generator, *, allowed: Collection[str] = ALLOWED) -> list[Question]:
    """All questions about `plan`, each once, in a random phrasing.

    Kinds that begin with "event_", and captions, speak of the event; all others hold for the twin too, but for `moves`.
    allowed: kinds of events that may be put into words; unseen kinds have no words and raise ValueError.
    """
    if wordless := [kind for kind in allowed if kind not in EVENT_WORDS]:
        raise ValueError(f"allowed={wordless}: no words for these; leave them out, {len(EVENT_WORDS)} kinds have some")
    facts = plan.facts
    doubtful = wording.UNASKED.get(plan.kind, ()) if plan.kind else ()
    answers = {kind: answer for kind, answer in scene_answers(facts).items() if kind not in doubtful}
    if plan.kind is None or plan.kind in allowed:
        sentence = event_sentence(plan.kind, facts, rng)
        answers["caption"] = caption(facts, sentence, rng)
        answers["event_happens"] = sentence
    open_ones = [Question(kind, _phrase(kind, facts, rng), answer) for kind, answer in answers.items()]
    open_ones += _presence(facts, rng)
    if "event_happens" in answers:
        open_ones += _did_it(plan, facts, rng, allowed) + _when(plan, facts, rng)
    return open_ones + _closed(plan, facts, answers, rng, allowed)


def scene_answers(facts: Facts) -> dict[str, str]:
    """Kind of question → answer, for the scene."""
    moving = [f"the {facts['car']} car"] if facts["car_moves"] else []
    if facts["animal_action"] == "walk":
        moving.append(f"the {facts['animal']}")
    if facts["event"] in wording.MOVES_TOO:
        moving.append(wording.MOVES_TOO[facts["event"]])
    return {
        "car_colour": facts["car"],
        "parked_colour": facts["parked_car"],
        "left_shirt": facts["left_shirt"],
        "right_shirt": facts["right_shirt"],
        "hat_shirt": facts["hat_shirt"],
        "bag_shirt": facts["bag_shirt"],
        "bag_colour": facts["bag"],
        "hat_colour": facts["hat"],
        "people": NUMBER_WORDS[facts["people"]],
        "light": facts["light"],
        "weather": facts["weather"],
        "building": facts["building"],
        "door_colour": facts["door"],
        "animal": f"a {facts['animal']}",
        "animal_colour": facts["animal_colour"],
        "animal_action": ACTION_WORDS[facts["animal_action"]],
        "car_and_animal": f"the {facts['car']} car and the {facts['animal']}",
        "moves": _listed(moving),
        "car_moves": "yes" if facts["car_moves"] else "no",
    }


def _listed(things: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(things[:-1]), *things[-1:]])) or "nothing else"


def event_sentence(kind: str | None, facts: Facts, rng: np.random.Generator) -> str:
    """What happens, in plain words: "two people hug"; "nothing unusual happens" for None."""
    sentences = wording.NOTHING if kind is None else EVENT_WORDS[kind][0]
    return sentences[rng.integers(len(sentences))].format(animal=facts["animal"])


def caption(facts: Facts, happens: str, rng: np.random.Generator) -> str:
    """One or two short sentences: what happens, and something of the scene."""
    light = {"day": "by day", "dusk": "at dusk", "night": "at night"}[facts["light"]]
    people = NUMBER_WORDS[facts["people"]]
    parts = [
        f"{people} people are on the square before a {facts['building']} house {light}",
        f"a {facts['car']} car stops behind a {facts['parked_car']} one"
        if facts["car_moves"]
        else f"a {facts['car']} car and a {facts['parked_car']} car stand on the road",
        f"a person in a {facts['hat_shirt']} shirt meets a person in a {facts['bag_shirt']} shirt",
        f"a {facts['animal_colour']} {facts['animal']} {ACTIONS[facts['animal_action']]}",
    ]
    first = parts[rng.integers(len(parts))]
    return f"{first[0].upper()}{first[1:]}, and {happens}."


def _phrase(kind: str, facts: Facts, rng: np.random.Generator, **words: str) -> str:
    return phrase(ASK[kind], rng, animal=facts["animal"], **words)


def _presence(facts: Facts, rng: np.random.Generator) -> list[Question]:
    things = {"tree": facts["tree"], "bench": facts["bench"]} | {pet: facts["animal"] == pet for pet in ("dog", "cat")}
    thing = str(rng.choice(list(things)))
    return [Question("there_is", _phrase("there_is", facts, rng, thing=thing), "yes" if things[thing] else "no")]


def _others(kind: str | None, kinds: Collection[str | None]) -> list[str | None]:
    """The kinds that certainly did not happen where `kind` did."""
    doubtful = UNDENIED.get(kind, ()) if kind else ()
    return [k for k in kinds if k != kind and k not in doubtful]


def _did_it(plan: ClipPlan, facts: Facts, rng: np.random.Generator, allowed: Collection[str]) -> list[Question]:
    """One yes/no question about the clip's event, or about one that does not happen."""
    kind, answer = plan.kind, "yes"
    if kind is None or rng.random() < 0.4:
        others = _others(kind, allowed)
        if not others:
            return []
        kind, answer = others[rng.integers(len(others))], "no"
    assert kind is not None, "kinds that may be put into words are names"
    event = EVENT_WORDS[kind][1].format(animal=facts["animal"])
    return [Question("event_yes_no", _phrase("event_yes_no", facts, rng, event=event), answer)]


def _when(plan: ClipPlan, facts: Facts, rng: np.random.Generator) -> list[Question]:
    middle = plan.n_frames / 2
    if plan.kind is None or plan.start < middle < plan.end:
        return []
    half = "in the first half" if plan.end <= middle else "in the second half"
    return [Question("event_when", _phrase("event_when", facts, rng), half)]


def _closed(
    plan: ClipPlan, facts: Facts, answers: dict[str, str], rng: np.random.Generator, allowed: Collection[str]
) -> list[Question]:
    """Multiple choice: the true category among some or all others, shuffled, each with a capital letter."""
    pools = {
        **dict.fromkeys(("car_colour", "parked_colour", "hat_shirt", "bag_shirt"), tuple(COLOURS)),
        "building": tuple(WALLS),
        "light": tuple(LIGHT),
        "weather": ("clear", "cloudy", "rain", "snow"),
        "animal": ("a dog", "a cat"),
        "animal_action": tuple(ACTION_WORDS.values()),
        "people": tuple(NUMBER_WORDS.values()),
    }
    closed = []
    for kind in [kind for kind in pools if kind in answers]:
        choices = tuple(map(_label, draw_choices(answers[kind], pools[kind], rng)))
        question = closed_question(wording.CLOSED_TASKS[kind], choices, rng)
        closed.append(Question(f"closed_{kind}", question, _label(answers[kind]), choices))
    if "event_happens" in answers:
        closed.append(_closed_event(plan, facts, rng, allowed))
    return closed


def _closed_event(plan: ClipPlan, facts: Facts, rng: np.random.Generator, allowed: Collection[str]) -> Question:
    """The event among some others, as sentences or as short labels."""
    kinds = _others(plan.kind, (None, *allowed))
    some = [plan.kind, *(kinds[i] for i in rng.permutation(len(kinds))[: rng.integers(2, 11)])]
    if rng.random() < 0.4:
        labels = [_label(event_sentence(kind, facts, rng)) for kind in some]
    else:
        labels = [phrase(wording.NO_EVENT if kind is None else wording.EVENT_LABELS[kind], rng) for kind in some]
    sort, strange = "event_closed", rng.random() < NEW_WORDS
    if strange and rng.random() < 0.5:
        sort, labels[0] = "event_new_word", new_word(rng)
    elif strange:
        labels[1] = new_word(rng)
    choices = tuple(labels[i] for i in rng.permutation(len(labels)))
    return Question(sort, closed_question(phrase(wording.EVENT_TASKS, rng), choices, rng), labels[0], choices)


def new_word(rng: np.random.Generator) -> str:
    """One or two words that nobody knows. Such a choice is true where no known one is: so the model learns to leave out
    what it does not see, and to answer in words that it never met."""
    syllables = ["".join(rng.choice(list(letters)) for letters in ("bdfgklmnprstvz", "aeiou")) for _ in range(5)]
    first = int(rng.integers(2, 4))
    words = (syllables[:first], syllables[first : rng.integers(2, 6)])
    return " ".join("".join(word).capitalize() for word in words if word)


def _label(answer: str) -> str:
    """As a category: "a dog" → "Dog", "it sits" → "Sits", "two people hug" → "Two people hug"."""
    if answer in ("a dog", "a cat") or answer.startswith("it "):
        answer = answer.split(" ", 1)[1]
    return answer[:1].upper() + answer[1:]
