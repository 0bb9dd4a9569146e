"""Guards the judges of a command line: which option belongs to which judge, and what is not clear."""

import pytest

from llamavid_kit.__main__ import parser
from llamavid_kit.commands.judge_options import HERE, judges_of


def judges_named(*options):
    return judges_of(parser(["evaluate"]).parse_args(["evaluate", "msvd", "--data", "d", "--out", "o", *options]))


def test_an_option_belongs_to_the_model_before_it():
    one, two = ["--judge-model", "one"], ["--judge-model", "two"]
    url, other = ["--judge-endpoint", "http://127.0.0.1:1/v1"], ["--judge-endpoint", "http://127.0.0.1:2/v1"]
    settings = ["--judge-prompt", "published", "--judge-set", "temperature=0.6"]
    rules = [["--judge-rule", rule] for rule in ("words", "exact")]
    parallel = ["--judge-parallel", "3"]
    judges = judges_named(*url, "--judge-set", "seed=1", *rules[0], *one, *settings, *two, *other, *parallel, *rules[1])
    assert [j.identity.get("rule") or j.identity["endpoint_model"] for j in judges] == ["words", "one", "two", "exact"]
    first, second = judges[1:3]
    assert (first.prompt, second.prompt, first.workers, second.workers) == ("published", "corrected", 1, 3)
    assert (first.chat.chat.url, second.chat.chat.url) == (url[1], other[1])
    chats = [judge.chat.chat.settings for judge in (first, second)]
    assert [(s["temperature"], s["seed"]) for s in chats] == [(0.6, 1), (0, 1)]
    assert [j.prompt for j in judges_named(*one, *url, *one, *url, "--judge-prompt", "published")] == [
        "corrected",
        "published",
    ]
    assert judges_named() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--judge-model a --judge-model b --judge-endpoint http://127.0.0.1:1/v1", "a has no --judge-endpoint"),
        ("--judge-model a --judge-prompt published --judge-prompt corrected", "--judge-prompt is given twice for --ju"),
        ("--judge-parallel 2 --judge-parallel 3 --judge-model a", "--judge-parallel is given twice for all models"),
        ("--judge-rule words --judge-prompt published", "--judge-model is missing: --judge-prompt belongs to one"),
        (
            "--judge-model a --judge-endpoint http://127.0.0.1:1/v1 --judge-key-env sk-secret",
            "expected the name of a variable that holds the key",
        ),
    ],
)
def test_options_that_say_nothing_clear(options, message):
    with pytest.raises(ValueError, match=message) as error:
        judges_named(*options.split())
    assert "sk-secret" not in str(error.value)


def test_none_is_a_model_in_this_process(monkeypatch):
    names = []
    monkeypatch.setattr(
        "llamavid_kit.evaluation.judges.chat.local.LocalModel", lambda name, **options: names.append(name)
    )
    url, here = ["--judge-endpoint", "http://127.0.0.1:1/v1"], ["--judge-endpoint", HERE]
    judges_named(*url, "--judge-model", "a", "--judge-model", "b", *here)
    assert names == ["b"]
