"""Guards the judges of a command line: which option belongs to which judge, and what is not clear."""

import pytest

from llamavid_kit.__main__ import parser
from llamavid_kit.commands.judge_options import HERE, judges_of


def named(*options):
    return judges_of(parser(["evaluate"]).parse_args(["evaluate", "msvd", "--data", "d", "--out", "o", *options]))


def test_an_option_belongs_to_the_model_before_it():
    one, two = ["--judge-model", "one"], ["--judge-model", "two"]
    url, other = ["--judge-endpoint", "http://127.0.0.1:1/v1"], ["--judge-endpoint", "http://127.0.0.1:2/v1"]
    found = named(
        *url,
        "--judge-set",
        "seed=1",
        "--judge-rule",
        "words",
        *one,
        "--judge-prompt",
        "published",
        "--judge-set",
        "temperature=0.6",
        *two,
        *other,
        "--judge-parallel",
        "3",
        "--judge-rule",
        "exact",
    )
    assert [j.identity.get("rule") or j.identity["endpoint_model"] for j in found] == ["words", "one", "two", "exact"]
    first, second = found[1:3]
    assert (first.prompt, second.prompt, first.workers, second.workers) == ("published", "corrected", 1, 3)
    assert (first.chat.chat.url, second.chat.chat.url) == (url[1], other[1])
    settings = [judge.chat.chat.settings for judge in (first, second)]
    assert [(s["temperature"], s["seed"]) for s in settings] == [(0.6, 1), (0, 1)]
    assert [j.prompt for j in named(*one, *url, *one, *url, "--judge-prompt", "published")] == [
        "corrected",
        "published",
    ]
    assert named() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--judge-model a --judge-model b --judge-endpoint http://127.0.0.1:1/v1", "a has no --judge-endpoint"),
        ("--judge-model a --judge-prompt published --judge-prompt corrected", "--judge-prompt is given twice for --ju"),
        ("--judge-parallel 2 --judge-parallel 3 --judge-model a", "--judge-parallel is given twice for all models"),
        ("--judge-rule words --judge-prompt published", "--judge-model is missing: --judge-prompt belongs to one"),
    ],
)
def test_options_that_say_nothing_clear(options, message):
    with pytest.raises(ValueError, match=message):
        named(*options.split())


def test_none_is_a_model_in_this_process(monkeypatch):
    made = []
    monkeypatch.setattr(
        "llamavid_kit.evaluation.judges.chat.local.LocalModel", lambda name, **options: made.append(name)
    )
    named(
        "--judge-endpoint",
        "http://127.0.0.1:1/v1",
        "--judge-model",
        "a",
        "--judge-model",
        "b",
        "--judge-endpoint",
        HERE,
    )
    assert made == ["b"]
