"""`convert`, `export`, `doctor`: folders of the original and of this kit."""

import argparse
from pathlib import Path

from llamavid_kit.commands.options import present

HEADS_HELP = "heads of a tower that is not EVA-ViT-G"


def convert_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("original", type=Path, help="full model, LoRA folder, stage-1 folder, or bare language model")
    parser.add_argument("--base", type=Path, help="the model that a LoRA or stage-1 folder belongs to")
    parser.add_argument(
        "--text-decoder", type=Path, help="InstructBLIP's file: begins stage 1 on a bare language model"
    )
    parser.add_argument("--vision-weights", type=Path, help="EVA-ViT file (default: looked for beside the folder)")
    text = "bert-base-uncased folder (default: looked for likewise)"
    parser.add_argument("--bert-tokenizer", dest="bert_folder", type=Path, metavar="BERT_TOKENIZER", help=text)
    parser.add_argument("--vision-heads", type=int, help=HEADS_HELP)
    parser.add_argument(
        "--image-size", type=int, help="pixels a side, where no file says it (default: the tower's 224)"
    )
    parser.add_argument("--out", type=Path, required=True)


def convert(args: argparse.Namespace) -> None:
    from llamavid_kit.model.original.convert import convert

    parts = present(args, "vision_weights", "bert_folder", "vision_heads", "image_size")
    report = convert(args.original, out=args.out, base=args.base, text_decoder=args.text_decoder, **parts)
    print(f"{report}\nwritten to {args.out}")


def export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a folder of this kit")
    parser.add_argument("--out", type=Path, required=True)


def export(args: argparse.Namespace) -> None:
    from llamavid_kit.model.original.convert import export

    print(f"{export(args.folder, out=args.out)}\nwritten to {args.out}")


def doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit status: 0, or 1 where something stands between this folder and a model that loads."
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vision-heads", type=int, help=HEADS_HELP)


def doctor(args: argparse.Namespace) -> int:
    from llamavid_kit.model.original.doctor import examine

    diagnosis = examine(args.folder, vision_heads=args.vision_heads)
    print(diagnosis)
    return 1 if diagnosis.problems else 0
