"""Questions about a wildlife clip with true answers, for the shipped model's training and its card: which animals, how
many, where, what they do, in which order. Input: a plan and the seconds at which it is seen; an action that no sampled
frame shows is not spoken of. The study's question and its multiple choice about species, actions and classes are not
among them; long requests for sentences are, put together from parts, so that a long request is nothing new.
"""

from collections.abc import Sequence

import numpy as np

from data_prep.toy_world.wildlife.clip import Segment, WildPlan, sentence
from data_prep.toy_world.wildlife.species import BRIEFS, SEEN_SPECIES, SPECIES, STATES, UNSEEN_BRIEFS
from llamavid_kit.data.pairs import multiple_choice_question

Question = tuple[str, str, str, tuple[str, ...] | None]
ABOUT_ACTION = ("wild_caption", "wild_sentences", "wild_doing", "wild_is", "wild_first", "wild_last")
PLACES = {
    "savanna": "in the savanna",
    "forest": "in the forest",
    "lake shore": "at the lake shore",
    "desert": "in the desert",
    "snow": "in the snow",
    "sea": "in the sea",
    "lake": "in a lake",
}
ASK = {
    "wild_caption": ("Describe the video.", "What does the video show?", "Tell me what you see in the video."),
    "wild_animals": ("Which animals are there?", "What animals do you see?", "Name the animals in the video."),
    "wild_count": ("How many animals are there?", "How many animals does the video show?", "Count the animals."),
    "wild_doing": ("What is the {animal} doing?", "What does the {animal} do?", "Tell me what the {animal} does."),
    "wild_first": ("What does the {animal} do first?", "How does the video begin for the {animal}?"),
    "wild_last": ("What does the {animal} do last?", "What does the {animal} do in the end?"),
    "wild_is": (
        "Is the {animal} {action}?",
        "Can one see the {animal} {action}?",
        "Does the video show the {animal} {action}?",
    ),
    "wild_there": ("Is there a {animal}?", "Can you see a {animal}?", "Does the video show a {animal}?"),
    "wild_place": ("Where is it?", "Where does it happen?", "What place is it?"),
    "wild_light": ("Is it day or dusk?", "What time of day is it?"),
    "wild_left": ("Which animal is on the left?", "What animal do you see on the left?"),
    "wild_right": ("Which animal is on the right?", "What animal do you see on the right?"),
    "wild_class": ("What kind of animal is the {animal}?", "Which class does the {animal} belong to?"),
}
# A request for sentences: one of these, and up to three of the rules, before it or after it.
REQUESTS = (
    "Tell me what each animal does.",
    "Say in sentences what the animals do.",
    "What is every animal doing?",
    "Name each animal and what it does.",
    "Write down what every animal in the video does.",
    "What do the animals do?",
    "Which actions do the animals perform?",
    "For every animal, say what it does.",
    "Report the action of each animal.",
    "List the animals of the video with their actions.",
    "Describe the behaviour of each animal in the video.",
    "Observe the animals and state the behaviour that every one shows.",
    "Identify the animals and their behaviour.",
    "Watch each animal and find out what it is doing.",
)
RULES = (
    "Use one sentence for each animal and action.",
    "Write full sentences.",
    "Give separate sentences.",
    "Answer in short sentences.",
    "Every sentence names an animal and its action.",
    "Say nothing twice.",
    "Never write the same sentence again.",
    "Repeat no action of the same animal.",
    "Make each sentence different.",
    "There may be one animal or two.",
    "Sometimes there is only one animal.",
    "Note that one animal may be alone.",
    "Look carefully, because an animal may do several things.",
    "Pay attention to all of the video.",
    "Be careful to mention every animal.",
    "Take the whole video into account.",
    "Do not guess.",
    "Keep it short.",
)
UNDENIED = {"Sleeping": ("Keeping still",), "Keeping still": ("Sleeping",), "Flying": ("Flapping",)}  # nor is "Moving"
CLOSED_TASKS = {
    "wild_place": "Classify the place in the video",
    "wild_light": "Classify the time of day in the video",
    "wild_count": "Classify the number of animals in the video",
}


def in_words(action: str) -> str:
    """As in Animal Kingdom's sentences: "Shaking Head" → "shaking its head"."""
    return sentence("", action).removeprefix("The  is ").removesuffix(".")


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def wild_questions(plan: WildPlan, rng: np.random.Generator, times_s: Sequence[float]) -> list[Question]:
    """All questions about `plan` as seen at `times_s` (seconds), each once, in a random phrasing: (kind of question,
    question, answer, choices or None). Raises ValueError for species and actions that training leaves out."""
    animals, seen = list(plan.scene.animals), plan.visible_segments(times_s)
    left_out = [name for name in animals if name not in SEEN_SPECIES] + [s[1] for s in seen if s[1] in UNSEEN_BRIEFS]
    if left_out:
        raise ValueError(f"{', '.join(left_out)}: not among what the shipped model is taught; take another clip")
    does = {name: [s for s in seen if s[0] == name] for name in animals}
    answers = _scene_answers(plan, does)
    asked = [(kind, _phrase(kind, rng), answer, None) for kind, answer in answers.items()]
    if all(does.values()):
        asked.append(("wild_sentences", _request(rng), _sentences(does), None))
    for name in animals:
        asked += _about(name, does[name], rng)
    there = str(rng.choice(animals if rng.random() < 0.5 else [s for s in SEEN_SPECIES if s not in animals]))
    asked.append(("wild_there", _phrase("wild_there", rng, animal=there), "yes" if there in animals else "no", None))
    return asked + _closed(answers, rng)


def _scene_answers(plan: WildPlan, does: dict[str, list[Segment]]) -> dict[str, str]:
    animals, habitat = list(does), plan.scene.habitat
    answers = {
        "wild_animals": " and ".join(map(with_article, animals)),
        "wild_count": ("one", "two")[len(animals) - 1],
        "wild_place": PLACES[habitat.kind],
        "wild_light": habitat.light,
    }
    if all(does.values()):
        told = [f"{with_article(name)} is {_listed(acts)}" for name, acts in does.items()]
        answers["wild_caption"] = f"{' and '.join(told).capitalize()} {PLACES[habitat.kind]}."
    if len(animals) == 2:
        answers |= {"wild_left": f"the {animals[0]}", "wild_right": f"the {animals[1]}"}
    return answers


def _request(rng) -> str:
    """A request for sentences with up to three rules, now and then one before it."""
    rules = [RULES[i] for i in rng.permutation(len(RULES))[: rng.integers(4)]]
    before = int(bool(rules) and rng.random() < 0.3)
    return " ".join((*rules[:before], REQUESTS[rng.integers(len(REQUESTS))], *rules[before:]))


def _sentences(does: dict[str, list[Segment]]) -> str:
    """A sentence for each animal and action, each once: "A lion is walking. A zebra is eating." """
    told = [(name, in_words(action)) for name, acts in does.items() for _, action, _, _ in acts]
    return " ".join(f"{with_article(name).capitalize()} is {action}." for name, action in dict.fromkeys(told))


def _listed(acts: Sequence[Segment]) -> str:
    return " and ".join(dict.fromkeys(in_words(action) for _, action, _, _ in acts))


def _about(name: str, acts: list[Segment], rng) -> list[Question]:
    """What this animal is and does, and one yes/no question about an action."""
    asked = [("wild_class", _phrase("wild_class", rng, animal=name), with_article(SPECIES[name].parent.lower()), None)]
    if acts:
        asked.append(("wild_doing", _phrase("wild_doing", rng, animal=name), f"it is {_listed(acts)}", None))
        states = [action for _, action, _, _ in acts if action in STATES]
        if len(set(states)) == 2:
            for kind, action in (("wild_first", states[0]), ("wild_last", states[-1])):
                asked.append((kind, _phrase(kind, rng, animal=name), f"it is {in_words(action)}", None))
        done = {action for _, action, _, _ in acts}
        true = rng.random() < 0.5
        doubtful = {*UNSEEN_BRIEFS, *done, *(a for done_one in done for a in UNDENIED.get(done_one, ())), "Moving"}
        pool = sorted(done) if true else [a for a in (*STATES, *BRIEFS) if a not in doubtful]
        action = in_words(pool[rng.integers(len(pool))])
        asked.append(("wild_is", _phrase("wild_is", rng, animal=name, action=action), "yes" if true else "no", None))
    return asked


def _phrase(kind: str, rng, **words) -> str:
    forms = ASK[kind]
    return forms[rng.integers(len(forms))].format(**words)


def _closed(answers: dict[str, str], rng) -> list[Question]:
    """Multiple choice in the study's phrasing about anything but what the animal questions ask."""
    pools = {
        "wild_place": list(PLACES.values()),
        "wild_light": ["day", "dusk", "night"],
        "wild_count": ["one", "two", "three"],
    }
    asked = []
    for kind, pool in pools.items():
        others = [str(c) for c in rng.permutation([c for c in pool if c != answers[kind]])]
        some = others[: max(1, rng.integers(len(others) // 2, len(others) + 1))]
        choices = tuple(c[:1].upper() + c[1:] for c in map(str, rng.permutation([answers[kind], *some])))
        answer = answers[kind][:1].upper() + answers[kind][1:]
        asked.append((f"closed_{kind}", multiple_choice_question(CLOSED_TASKS[kind], choices), answer, choices))
    return asked
