"""`python -m data_prep NAME`: data sets as the kit reads them, real or drawn. Imports only the chosen one."""

import argparse
import importlib
import sys

from llamavid_kit.files import exit_status

COMMANDS = {
    "toy": ("data_prep.toy_world.street.render", "render the toy world in UCF-Crime's layout"),
    "toy-wildlife": (
        "data_prep.toy_world.wildlife.render",
        "render the toy world's animals in Animal Kingdom's layout",
    ),
    "crime": ("data_prep.ucf_crime.folder", "UCF-Crime → instruction pairs"),
    "animal": ("data_prep.animal_kingdom.folder", "Animal Kingdom → instruction pairs"),
    "movies": ("data_prep.movies.writer", "films' texts → long-video question-answer pairs"),
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="python -m data_prep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{" + ",".join(COMMANDS) + "}")
    first_word = next((word for word in argv if not word.startswith("-")), None)
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name == first_word:
            importlib.import_module(module).add_arguments(command)
    args = parser.parse_args(argv)
    return exit_status(lambda: importlib.import_module(COMMANDS[args.command][0]).run(args))


if __name__ == "__main__":
    sys.exit(main())
