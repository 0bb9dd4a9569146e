"""`python -m llamavid_kit COMMAND`: runs the command's file in `commands`; a user's error is one line."""

import argparse
import importlib
import logging
import sys
import warnings

from llamavid_kit.files import exit_status
from llamavid_kit.processes import n_processes, one_voice

COMMANDS = {  # name → its file in `commands`, and what it does
    "demo": ("demo", "render a toy set, fine-tune, run the FPS ablation, write the report"),
    "ask": ("ask", "ask about a clip, a picture, or a film's features"),
    "attention": ("ask", "save a clip's context-attention overlay"),
    "convert": ("checkpoints", "convert a checkpoint of the original code"),
    "export": ("checkpoints", "write a converted or trained model in the original's layout"),
    "doctor": ("checkpoints", "what a folder holds, what is missing, where to get it, whether it fits this machine"),
    "plan": ("plan", "tokens and memory of a clip at several rates, before anything runs"),
    "audit": ("audit", "what frame rates differ in for a model, beside the number of frames, before any run"),
    "forensics": ("forensics", "which frames a closed model looked at, read from its answers to made-up clips"),
    "cache": ("cache", "how much room the frame tokens of runs take, and less of it"),
    "frames": ("frames", "write the frames that rates pick, once, as files for tools outside"),
    "finetune": ("finetune", "fixed-token LoRA, or a published stage, on instruction pairs at one fps"),
    "ablate": ("ablate", "zero-shot and fine-tuned arms at several fps, on the same clips"),
    "evaluate": ("evaluate", "answer and score a benchmark, beside what was published"),
    "judge": ("evaluate", "judge the replies of a finished open ablation by others too: agreement, arm by arm"),
    "experiments": ("experiments", "the laboratory: run its notebooks, and write one page of what they found"),
    "restudy": ("restudy", "count the study's own predictions again: tables, figures, and which claims hold"),
    "slides": ("slides", "saved notebooks as slides for a lecture, which open without a network"),
    "bench": ("bench", "measure speed against baselines in the same run"),
}
TOGETHER = ("ablate", "evaluate", "finetune")  # what several processes may run together


def parser(argv: list[str]) -> argparse.ArgumentParser:
    """All commands; the options of the one that `argv` names, so that the others' files are not imported."""
    top = argparse.ArgumentParser(prog="python -m llamavid_kit", description="Understand and stress LLaMA-VID.")
    commands = top.add_subparsers(dest="command", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, (file, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == chosen:
            module = importlib.import_module(f"llamavid_kit.commands.{file}")
            getattr(module, f"{name}_options")(command)
            command.set_defaults(function=getattr(module, name))
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command → exit status: 0; 1 where `doctor` found a problem; 2 and 130 as of `files.exit_status`."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("httpx", "matplotlib", "papermill", "transformers", "traitlets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)  # peft's call
    argv = sys.argv[1:] if argv is None else argv

    def command() -> int | None:
        with one_voice():
            args = parser(argv).parse_args(argv)
            if n_processes() > 1 and args.command not in TOGETHER:
                raise ValueError(f"{args.command} is work for one process: start it without accelerate launch")
            return args.function(args)

    return exit_status(command)


if __name__ == "__main__":
    sys.exit(main())
