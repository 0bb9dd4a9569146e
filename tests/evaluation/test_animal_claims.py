"""How sentences become claims about animals."""

import pytest

from llamavid_kit.evaluation.judges.animal_claims import AnimalAction, animals_of, parse

LEXICON = ("lion", "Young of the lion (cub)", "birds", "grey bird", "frog", "frog tadpole", "russell's viper", "wolf")


def claims(text: str, animals=LEXICON) -> list[tuple[str | None, str]]:
    return [(claim.animal, claim.action) for claim in parse(text, animals=animals)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lion is walking.", [("lion", "walking")]),
        ("  THE LION\n\t is  WALKING !", [(None, "the lion"), (None, "is walking")]),
        ("the Lion   is\u00a0walking", [("lion", "walking")]),
        ("The young of the lion (cub) is playing.", [("young of the lion cub", "playing")]),
        ("The bird dips its face into the water.", [("bird", "dips its face into water")]),
        ("The frog tadpole moves.", [("frog tadpole", "moves")]),
        (
            "Two lions are walking in the jungle, the smaller one is walking in front.",
            [("lions", "walking in jungle smaller one is walking in front")],
        ),
        ("A group of wolves runs.", [("wolves", "runs")]),
        ("One of the lions seems to be feeding on the bird.", [("lions", "feeding on bird")]),
        ("The lion is also eating.", [("lion", "eating")]),
        ("Russell\u2019s viper is moving.", [("russell's viper", "moving")]),
        ("The zebra is running.", [("zebra", "running")]),  # is/are says it, the lexicon need not
        ("The grey bird in the foreground is eating.", [("grey bird in the foreground", "eating")]),
        ("The lion roars while it is running.", [("lion", "roars while it is running")]),
        ("The rat is being bitten and eaten by the lion.", [("rat", "being bitten and eaten by lion")]),
    ],
)
def test_one_sentence(text, expected):
    assert claims(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lion is walking. The lion is eating.", [("lion", "walking"), ("lion", "eating")]),
        ("The lion is walking The bird is flying", [("lion", "walking"), ("bird", "flying")]),
        (
            "1. The lion is walking\n2. A bird is flying\n- frog: swimming",
            [("lion", "walking"), ("bird", "flying"), ("frog", "swimming")],
        ),
        (
            "Here are the actions: the lion is walking; the frog is jumping.",
            [(None, "here are the actions"), ("lion", "walking"), ("frog", "jumping")],
        ),
        ("The lion is walking, eating, and drinking.", [("lion", "walking"), ("lion", "eating"), ("lion", "drinking")]),
        ("The lion is walking and is eating the other lion.", [("lion", "walking"), ("lion", "eating other lion")]),
        ("The lion and the birds are moving.", [("lion", "moving"), ("birds", "moving")]),
        ("A lion, a frog, and two wolves are moving.", [("lion", "moving"), ("frog", "moving"), ("wolves", "moving")]),
        (
            "The lion is walking and the bird is flying, while the frog is jumping.",
            [("lion", "walking"), ("bird", "flying"), ("frog", "jumping")],
        ),
        (
            "In the video, we can see a lion walking. There is a frog jumping.",
            [("lion", "walking"), ("frog", "jumping")],
        ),
        ("The lion is walking. The lion is walking. A lion walks.", [("lion", "walking")]),
    ],
)
def test_several_sentences(text, expected):
    assert claims(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "walking",
        "lion",
        "The lion is.",
        "It is walking",
        "The video is dark",
        "No lion is walking",
        "the zebra runs",
        "The lion in the grass",
        "The zebra and the horse are running",
        "The lion and the zebra run",
        "there are no lions",
        "a car drives past a house",
        "the grey shoebill with large beak flaps its wings while it is stretching",
    ],
)
def test_what_names_no_animal_with_an_action_stays_unparsed(text):
    assert [animal for animal, _ in claims(text)] == [None]


@pytest.mark.parametrize("text", ["", "  \n", "...", "1. 2. 3.", "?!", ", ,"])
def test_no_letters_no_claims(text):
    assert claims(text) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("walking", "walks"),
        ("walk", "walking"),
        ("flies", "flying"),
        ("lies down", "lying down"),
        ("dying", "dies"),
        ("diving", "dives"),
        ("running", "runs"),
        ("hugs", "hugging"),
        ("swings", "swinging"),
        ("swing", "swings"),
        ("passes", "passing"),
        ("makes landing", "making landing"),
        ("fleeing", "flees"),
        ("singing", "sings"),
        ("preening itself", "preening themselves"),
        ("shaking its head", "shaking their head"),
    ],
)
def test_endings_do_not_make_an_action_another(a, b):
    assert AnimalAction("lion", a) == AnimalAction("lions", b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("walking", "running"),
        ("eating", "being eaten"),
        ("walking", "not walking"),
        ("swing", "sing"),
        ("flapping its wings", "flapping its wing"),
        ("keeping still", "keeping"),
        ("lying", "flying"),
    ],
)
def test_other_actions_are_others(a, b):
    assert AnimalAction("lion", a) != AnimalAction("lion", b)
    assert len({AnimalAction("lion", a), AnimalAction("lion", a), AnimalAction("wolf", a)}) == 2


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("wolves", "wolf"),
        ("butterflies", "butterfly"),
        ("foxes", "fox"),
        ("finches", "finch"),
        ("mice", "mouse"),
        ("walruses", "walrus"),
        ("octopuses", "octopus"),
        ("horses", "horse"),
        ("flamingoes", "flamingo"),
        ("lion cubs", "lion cub"),
        ("the young of lions", "young of the lion"),
    ],
)
def test_plurals(plural, singular):
    assert AnimalAction(plural, "eating") == AnimalAction(singular, "eating") != AnimalAction("ant", "eating")


@pytest.mark.parametrize("animal", ["walrus", "ass", "octopus", "polyergus mexicanus", "ibis"])
def test_not_every_s_is_a_plural(animal):
    assert AnimalAction(animal, "eating").key[0] == animal


def test_the_lexicon_is_what_stands_before_is_or_are():
    texts = ["The Lion is walking. The lions are eating.", "The goby fish is moving. The minke whale surfaces.", "dark"]
    assert animals_of(texts) == ("goby fish", "lions")
    assert claims("The lion roars.", animals_of(texts)) == [("lion", "roars")]
    assert claims("The lion roars.", ()) == [(None, "the lion roars")]
