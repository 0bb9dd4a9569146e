"""The judges that a command line names: `--judge-rule`, `--judge-model` with or without `--judge-endpoint`, or several.

The order of these options counts, so they are kept in order (`args.judge_options`) and read by `judges_of`.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamavid_kit.evaluation.judges.judge import ChatJudge, Judge

RULES = {
    "mention": "the answer stands in the reply as whole words",
    "words": "words that reply and answer share",
    "exact": "the same characters",
}
"""The rules of `RuleJudge` that need neither lexicon nor labels, in short; in full in `judges.judge.RULE_TEXT`."""

HERE = "none"
OF_BENCHMARK = "of a video benchmark: rules and chat models, one or several"
FIRST = "\n  The first one named gives the score beside the published numbers."
ABOUT = """{of}{first}
  Each judge gets its own row, and below stand agreement and Cohen's kappa of
  every two. An option belongs to the --judge-model before it; options before the
  first --judge-model belong to all of them."""  # lines as they are printed


class _Ordered(argparse.Action):
    """Keeps (option, value) in the order of the command line."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, (*getattr(namespace, self.dest), (self.option_strings[0], values)))


def add_judge_options(parser: argparse.ArgumentParser, *, of: str = OF_BENCHMARK, first: str = FIRST) -> None:
    """Options of a command that may need judges. of, first: what they judge, and what the first of them is for."""
    group = parser.add_argument_group("judges", ABOUT.format(of=of, first=first))

    def add(name: str, **options: Any) -> None:
        group.add_argument(name, action=_Ordered, dest="judge_options", default=(), **options)

    add("--judge-rule", choices=RULES, help="; ".join(f"{rule}: {text}" for rule, text in RULES.items()))
    add("--judge-model", metavar="NAME", help="as the endpoint serves it; else a folder or hub name")
    text = f"OpenAI-compatible server; http://127.0.0.1:8000/v1. {HERE}: in this process (the default for one model)"
    add("--judge-endpoint", metavar="URL", help=text)
    add("--judge-key-env", metavar="NAME", help="environment variable with the endpoint's key; without it none is sent")
    text = "published: Video-ChatGPT's and the study's; corrected (default): without its faults"
    add("--judge-prompt", choices=("corrected", "published"), help=text)
    text = "a setting of the judge, null to leave it out, such as temperature=0.6; repeatable (default: greedy)"
    add("--judge-set", metavar="NAME=JSON", help=text)
    add("--judge-parallel", type=int, metavar="N", help="requests at a time (default: 1)")
    add("--judge-per-minute", type=float, metavar="N", help="requests a minute at most")
    text = "money for a million tokens sent and received; the sum is printed"
    add("--judge-price", type=float, nargs=2, metavar=("SENT", "RECEIVED"), help=text)
    text = (
        "ask each judge N times more, apart from its first verdicts, and print how far it repeats itself; rules and "
        "models that cannot but repeat themselves are not asked (default: 0)"
    )
    group.add_argument("--judge-again", type=int, default=0, metavar="N", help=text)


def judges_of(args: argparse.Namespace) -> "list[Judge]":
    """The judges that the options name, in that order. Raises ValueError naming the option that is wrong."""
    from llamavid_kit.evaluation.judges.judge import RuleJudge

    common: dict[str, Any] = {}
    models: list[dict[str, Any]] = []
    judges: list[RuleJudge | dict[str, Any]] = []
    for option, value in args.judge_options:
        if option == "--judge-rule":
            judges.append(RuleJudge(value))
        elif option == "--judge-model":
            models.append({option: value})
            judges.append(models[-1])
        else:
            _note(models[-1] if models else common, option, value)
    if common and not models:
        first = next(option for option, _ in args.judge_options if option != "--judge-rule")
        raise ValueError(f"--judge-model is missing: {first} belongs to one, as the name under which it is served")
    for own in models:
        settings = [*common.get("--judge-set", ()), *own.get("--judge-set", ())]
        own.update({**common, **own, "--judge-set": settings})
    bare = [own["--judge-model"] for own in models if "--judge-endpoint" not in own]
    if bare and len(bare) < len(models):
        raise ValueError(
            f"--judge-model {bare[0]} has no --judge-endpoint and another model has one: name it behind each model, "
            f"{HERE} for one in this process, or before the first model for all"
        )
    return [_chat_judge(one) if isinstance(one, dict) else one for one in judges]


def _note(place: dict[str, Any], option: str, value: Any) -> None:
    if option == "--judge-set":
        place.setdefault(option, []).append(value)
    elif option in place:
        whose = f"--judge-model {place['--judge-model']}" if "--judge-model" in place else "all models"
        raise ValueError(f"{option} is given twice for {whose}: {place[option]} and {value}; expected it once")
    else:
        place[option] = value


def _chat_judge(own: dict[str, Any]) -> "ChatJudge":
    from llamavid_kit.evaluation.judges.chat.meter import Meter
    from llamavid_kit.evaluation.judges.chat.named import named_chat
    from llamavid_kit.evaluation.judges.judge import ChatJudge
    from llamavid_kit.evaluation.judges.prompts import DETERMINISTIC

    endpoint, price = own.get("--judge-endpoint"), own.get("--judge-price")
    chat = named_chat(
        own["--judge-model"],
        endpoint=None if endpoint == HERE else endpoint,
        key_env=own.get("--judge-key-env"),
        changed=own["--judge-set"],
        settings=DETERMINISTIC,
        prefix="--judge-",
    )
    meter = Meter(chat, per_minute=own.get("--judge-per-minute"), price=None if price is None else tuple(price))
    return ChatJudge(meter, prompt=own.get("--judge-prompt", "corrected"), workers=own.get("--judge-parallel", 1))


def spent(judges: "Sequence[Judge | None]") -> list[str]:
    """What asking each judge took, in words, named as in the table; nothing for a rule, or None in a rule's place."""
    from llamavid_kit.evaluation.benchmarks.panel import LETTERS
    from llamavid_kit.evaluation.judges.judge import ChatJudge

    names = [f" {name}" for name in LETTERS] if len(judges) > 1 else [""]
    return [f"judge{n}: {j.chat}" for n, j in zip(names, judges, strict=False) if isinstance(j, ChatJudge)]
