"""Questions about a wildlife clip with true answers, for the shipped model's training and its card: which animals, how
many, where, what they do, in which order. Input: a plan and the seconds at which it is seen; an action that no sampled
frame shows is not spoken of. The study's question and its multiple choice about species, actions and classes are not
among them; long requests for sentences are, put together from parts, so that a long request is nothing new.
"""

from collections.abc import Sequence

import numpy as np

from data_prep.toy_world.asking import Question, closed_question, draw_choices, phrase
from data_prep.toy_world.palette import LIGHT
from data_prep.toy_world.wildlife.clip import Segment, WildPlan, sentence
from data_prep.toy_world.wildlife.species import BRIEFS, SEEN_SPECIES, SPECIES, STATES, UNSEEN_BRIEFS

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
    """All questions about `plan` as seen at `times_s` (seconds), each once, in a random phrasing.

    Raises ValueError for species and actions that training leaves out.
    """
    animals, segments = list(plan.scene.animals), plan.visible_segments(times_s)
    untaught = [name for name in animals if name not in SEEN_SPECIES]
    untaught += [action for _, action, _, _ in segments if action in UNSEEN_BRIEFS]
    if untaught:
        raise ValueError(f"{', '.join(untaught)}: not among what the shipped model is taught; take another clip")
    does = {name: [segment for segment in segments if segment[0] == name] for name in animals}
    answers = _scene_answers(plan, does)
    open_ones = [Question(kind, phrase(ASK[kind], rng), answer) for kind, answer in answers.items()]
    if all(does.values()):
        open_ones.append(Question("wild_sentences", _request(rng), _sentences(does)))
    for name in animals:
        open_ones += _about(name, does[name], rng)
    name = str(rng.choice(animals if rng.random() < 0.5 else [s for s in SEEN_SPECIES if s not in animals]))
    is_there = "yes" if name in animals else "no"
    open_ones.append(Question("wild_there", phrase(ASK["wild_there"], rng, animal=name), is_there))
    return open_ones + _closed(answers, rng)


def _scene_answers(plan: WildPlan, does: dict[str, list[Segment]]) -> dict[str, str]:
    animals, habitat = list(does), plan.scene.habitat
    answers = {
        "wild_animals": " and ".join(map(with_article, animals)),
        "wild_count": ("one", "two")[len(animals) - 1],
        "wild_place": PLACES[habitat.kind],
        "wild_light": habitat.light,
    }
    if all(does.values()):
        clauses = [f"{with_article(name)} is {_joined(acts)}" for name, acts in does.items()]
        answers["wild_caption"] = f"{' and '.join(clauses).capitalize()} {PLACES[habitat.kind]}."
    if len(animals) == 2:
        answers |= {"wild_left": f"the {animals[0]}", "wild_right": f"the {animals[1]}"}
    return answers


def _request(rng: np.random.Generator) -> str:
    """A request for sentences with up to three rules, now and then one before it."""
    rules = [RULES[i] for i in rng.permutation(len(RULES))[: rng.integers(4)]]
    before = int(bool(rules) and rng.random() < 0.3)
    return " ".join((*rules[:before], REQUESTS[rng.integers(len(REQUESTS))], *rules[before:]))


def _sentences(does: dict[str, list[Segment]]) -> str:
    """A sentence for each animal and action, each once: "A lion is walking. A zebra is eating." """
    pairs = [(name, in_words(action)) for name, acts in does.items() for _, action, _, _ in acts]
    return " ".join(f"{with_article(name).capitalize()} is {action}." for name, action in dict.fromkeys(pairs))


def _joined(acts: Sequence[Segment]) -> str:
    return " and ".join(dict.fromkeys(in_words(action) for _, action, _, _ in acts))


def _about(name: str, acts: list[Segment], rng: np.random.Generator) -> list[Question]:
    """What this animal is and does, and one yes/no question about an action."""

    def question(kind: str, answer: str, **words: str) -> Question:
        return Question(kind, phrase(ASK[kind], rng, animal=name, **words), answer)

    questions = [question("wild_class", with_article(SPECIES[name].parent.lower()))]
    if acts:
        questions.append(question("wild_doing", f"it is {_joined(acts)}"))
        states = [action for _, action, _, _ in acts if action in STATES]
        if len(set(states)) == 2:
            questions.append(question("wild_first", f"it is {in_words(states[0])}"))
            questions.append(question("wild_last", f"it is {in_words(states[-1])}"))
        done = {action for _, action, _, _ in acts}
        true = rng.random() < 0.5
        doubtful = {*UNSEEN_BRIEFS, *done, *(alike for action in done for alike in UNDENIED.get(action, ())), "Moving"}
        pool = sorted(done) if true else [action for action in (*STATES, *BRIEFS) if action not in doubtful]
        action = in_words(pool[rng.integers(len(pool))])
        questions.append(question("wild_is", "yes" if true else "no", action=action))
    return questions


def _closed(answers: dict[str, str], rng: np.random.Generator) -> list[Question]:
    """Multiple choice in the study's phrasing about anything but what the animal questions ask."""
    pools = {"wild_place": tuple(PLACES.values()), "wild_light": tuple(LIGHT), "wild_count": ("one", "two", "three")}
    closed = []
    for kind, pool in pools.items():
        answer, *choices = (c[:1].upper() + c[1:] for c in (answers[kind], *draw_choices(answers[kind], pool, rng)))
        question = closed_question(CLOSED_TASKS[kind], choices, rng)
        closed.append(Question(f"closed_{kind}", question, answer, tuple(choices)))
    return closed
