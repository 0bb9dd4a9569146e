"""What several commands share: options of a model and a question, and the refusal of what would be ignored."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from llamavid_kit.data.sampling import RULES

MODEL_HELP = 'model: "tiny" (shipped), a converted folder, or a folder of the original (default: tiny)'
ANY_MODEL_HELP = f"{MODEL_HELP}; or a folder of another video LLM that transformers opens (pip: [models])"
ADAPTER_HELP = "what `finetune` wrote for this model"
PACKED = ("4bit",)
QUANTISE_HELP = "pack the language model's layers: a quarter of their memory (needs a GPU and bitsandbytes)"


def question_options(parser: argparse.ArgumentParser, *, models: str = MODEL_HELP) -> None:
    """What to ask, of which model, at which rate."""
    parser.add_argument("question")
    parser.add_argument("--model", default="tiny", help=models)
    parser.add_argument("--adapter", type=Path, help=ADAPTER_HELP)
    parser.add_argument("--quantise", choices=PACKED, help=QUANTISE_HELP)
    parser.add_argument("--fps", type=float, help="frames a second of a clip (default: 1)")
    frames_option(parser)


def frames_option(parser: argparse.ArgumentParser) -> None:
    text = "how a rate picks frames: by time (default), or by the stride of the original's training or of the study"
    parser.add_argument("--frames", choices=RULES, help=text)


def gib(text: str) -> int:
    """ "1.5" → bytes of so many GiB."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of GiB, 0 or more")
    return int(value * 2**30)


def present(args: argparse.Namespace, *names: str) -> dict:
    """name → value of the options among `names` that were named on the command line; None is the default of each."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def refuse(args: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """ValueError listing the options among `names` that were named and would be ignored."""
    if ignored := [f"--{name.replace('_', '-')}" for name in present(args, *names)]:
        raise ValueError(f"{' and '.join(ignored)}: {why}; leave {'it' if len(ignored) == 1 else 'them'} out")
