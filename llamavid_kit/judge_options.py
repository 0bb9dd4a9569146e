"""The judge that a command line names: `--judge-rule`, or `--judge-model` with or without `--judge-endpoint`."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamavid_kit.chat import Chat
    from llamavid_kit.judge import Judge

RULES = {
    "mention": "the answer stands in the reply as whole words",
    "words": "words that reply and answer share",
    "exact": "the same characters",
}
"""The rules of `judge.RuleJudge` that need neither lexicon nor labels, in short; in full in `judge.RULE_TEXT`."""


def add_judge_options(parser: argparse.ArgumentParser) -> None:
    """Options of a command that may need a judge."""
    group = parser.add_argument_group("judge", "of a video benchmark: a rule, or a chat model")
    group.add_argument("--judge-rule", choices=RULES, help="; ".join(f"{rule}: {text}" for rule, text in RULES.items()))
    group.add_argument("--judge-model", metavar="NAME", help="as the endpoint serves it; else a folder or hub name")
    group.add_argument("--judge-endpoint", metavar="URL", help="OpenAI-compatible server; http://127.0.0.1:8000/v1")
    key = "environment variable with the endpoint's key; without it none is sent"
    group.add_argument("--judge-key-env", metavar="NAME", help=key)
    text = "published: Video-ChatGPT's and the study's; corrected (default): without its faults"
    group.add_argument("--judge-prompt", choices=("corrected", "published"), default="corrected", help=text)
    text = "a setting of the judge, null to leave it out, such as temperature=0.6; repeatable (default: greedy)"
    group.add_argument("--judge-set", action="append", default=[], metavar="NAME=JSON", help=text)
    group.add_argument("--judge-parallel", type=int, default=1, metavar="N", help="requests at a time (default: 1)")
    group.add_argument("--judge-per-minute", type=float, metavar="N", help="requests a minute at most")
    text = "money for a million tokens sent and received; the sum is printed"
    group.add_argument("--judge-price", type=float, nargs=2, metavar=("SENT", "RECEIVED"), help=text)


def judge_of(args: argparse.Namespace) -> "Judge | None":
    """The judge that the options name, None for none. Raises ValueError naming the option that is wrong."""
    from llamavid_kit.chat_meter import Meter
    from llamavid_kit.judge import ChatJudge, RuleJudge

    if args.judge_rule and args.judge_model:
        raise ValueError("--judge-rule and --judge-model: expected one judge")
    if args.judge_rule:
        return RuleJudge(args.judge_rule)
    if not args.judge_model:
        if args.judge_endpoint:
            raise ValueError("--judge-model is missing: the name under which the endpoint serves the judge")
        return None
    price = None if args.judge_price is None else tuple(args.judge_price)
    chat = Meter(_chat(args), per_minute=args.judge_per_minute, price=price)
    return ChatJudge(chat, prompt=args.judge_prompt, workers=args.judge_parallel)


def spent(judge: "Judge | None") -> str:
    """What asking the judge took, in words; "" for a rule."""
    from llamavid_kit.judge import ChatJudge

    return f"judge: {judge.chat}" if isinstance(judge, ChatJudge) else ""


def _chat(args: argparse.Namespace) -> "Chat":
    from llamavid_kit.chat_options import named_chat
    from llamavid_kit.judge_prompts import DETERMINISTIC

    return named_chat(
        args.judge_model, endpoint=args.judge_endpoint, key_env=args.judge_key_env, changed=args.judge_set,
        settings=DETERMINISTIC, prefix="--judge-",
    )  # fmt: skip
