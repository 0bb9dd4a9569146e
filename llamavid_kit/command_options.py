"""The options of every command: what each takes from the command line, and how that is explained.

`__main__.py` has what a command does with them.
"""

import argparse
from pathlib import Path

MODEL_HELP = 'model: "tiny" (shipped), a converted folder, or a folder of the original (default: tiny)'


def demo(sub) -> None:
    sub.add_argument("--out", type=Path, default=Path("runs/demo"), help="run folder (default: runs/demo)")
    sub.add_argument("--quick", action="store_true", help="the same path on a few clips")
    sub.add_argument("--animals", action="store_true", help="then the same for animals, into OUT-animals")
    sub.add_argument("--workers", type=int, default=2, help="processes that render (default: 2)")


def ask(sub) -> None:
    sub.add_argument("video", type=Path, help="a video, a picture, or a feature file of the original (.pkl)")
    _question(sub)
    sub.add_argument("--max-new-tokens", type=int, default=64)
    sub.add_argument("--subtitles", type=Path, help=".srt or .vtt: each frame is followed by what is said")
    sub.add_argument("--context", type=int, help="tokens that must fit, by linear RoPE scaling if need be")
    sub.add_argument("--attention", type=Path, help="save the context-attention overlay to this PNG")
    sub.set_defaults(scale=None)


def attention(sub) -> None:
    sub.add_argument("video", type=Path, help="a video file")
    _question(sub)
    sub.add_argument("--out", type=Path, default=Path("attention.png"), help="PNG to write")
    sub.add_argument("--scale", type=float, help="upper end of the colours, to compare questions (1 = even)")


def _question(sub) -> None:
    sub.add_argument("question")
    sub.add_argument("--model", default="tiny", help=MODEL_HELP)
    sub.add_argument("--adapter", type=Path, help="what `finetune` wrote for this model")
    sub.add_argument("--fps", type=float, help="frames a second of a clip (default: 1)")


def convert(sub) -> None:
    sub.add_argument("original", type=Path, help="full model, LoRA folder, stage-1 folder, or bare language model")
    sub.add_argument("--base", type=Path, help="the model that a LoRA or stage-1 folder belongs to")
    sub.add_argument("--text-decoder", type=Path, help="InstructBLIP's file: begins stage 1 on a bare language model")
    sub.add_argument("--vision-weights", type=Path, help="EVA-ViT file (default: looked for beside the folder)")
    sub.add_argument("--bert-tokenizer", type=Path, help="bert-base-uncased folder (default: looked for likewise)")
    sub.add_argument("--vision-heads", type=int, help="heads of a tower that is not EVA-ViT-G")
    sub.add_argument("--image-size", type=int, help="pixels a side, where no file says it (default: the tower's 224)")
    sub.add_argument("--out", type=Path, required=True)


def export(sub) -> None:
    sub.add_argument("folder", type=Path, help="a folder of this kit")
    sub.add_argument("--out", type=Path, required=True)


def doctor(sub) -> None:
    sub.epilog = "Exit status: 0, or 1 where something stands between this folder and a model that loads."
    sub.add_argument("folder", type=Path)
    sub.add_argument("--vision-heads", type=int, help="heads of a tower that is not EVA-ViT-G")


def finetune(sub) -> None:
    sub.add_argument("--pairs", type=Path, required=True, help="JSONL of instruction pairs; its train split is used")
    sub.add_argument("--root", type=Path, required=True, help="folder of the clips")
    sub.add_argument("--fps", type=float, default=1.0)
    sub.add_argument("--model", default="tiny", help=MODEL_HELP)
    sub.add_argument("--stage", help="align, instruct, long_video, freeze_all (the study's) … (default: LoRA alone)")
    sub.add_argument("--epochs", type=float, help="default: 6, or the stage's")
    sub.add_argument("--learning-rate", type=float, help="default: 0.002, or the stage's")
    sub.add_argument("--lora-rank", type=int, help="without --stage (default: 16)")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--out", type=Path, required=True)


def ablate(sub) -> None:
    source = sub.add_mutually_exclusive_group(required=True)
    source.add_argument("--clips", type=Path, help="your own CSV: video,label[,start_s,end_s][,split]")
    source.add_argument("--crime", type=Path, help="UCF-Crime folder with its lists (or a toy set)")
    source.add_argument("--pairs", type=Path, nargs="+", help="JSONL files of instruction pairs, of one question")
    sub.add_argument("--root", type=Path, help="folder of the clips (default: the CSV's or JSONL's)")
    sub.add_argument(
        "--tier", choices=["all", "under_1800", "under_120"], help="training tier of --crime (default: all)"
    )
    sub.add_argument("--model", default="tiny", help=MODEL_HELP)
    sub.add_argument("--fps", type=float, nargs="+", default=[1, 6])
    sub.add_argument("--seeds", type=int, nargs="+", help="training seeds of the fine-tuned arms (default: 0)")
    sub.add_argument("--no-finetune", dest="finetune", action="store_false", help="zero-shot arms only")
    sub.add_argument("--rule", default="normalised", help="how a reply becomes a label, see scoring.RULES")
    sub.add_argument("--prompts", default="study", help=(
        'words of a closed question, each its own arms on the same clips: "study" (its wording, the default), "plain", '
        '"short" (ours, see wordings.PROMPTS); for example study,plain,short'
    ))  # fmt: skip
    sub.add_argument("--shuffle-choices", type=int, metavar="SEED", help=(
        "ask every arm a second time with the options shuffled clip by clip: does the answer depend on their order?"
    ))  # fmt: skip
    sub.add_argument("--max-new-tokens", type=int, help="of a reply (default: 24; 128 for an open question)")
    sub.add_argument("--shuffle-labels", type=int, help="control: permute the training answers with this seed")
    sub.add_argument("--out", type=Path, required=True, help="run folder; a run that was cut off goes on")


def evaluate(sub) -> None:
    from llamavid_kit.benchmarks import FILES
    from llamavid_kit.judge_options import add_judge_options

    sub.add_argument("benchmark", choices=FILES, metavar="benchmark", help=", ".join(FILES))
    sub.add_argument("--model", help=MODEL_HELP)
    sub.add_argument("--adapter", type=Path, help="what `finetune` wrote for this model")
    sub.add_argument("--data", type=Path, required=True, help="folder of the benchmark's files, see below")
    sub.add_argument("--out", type=Path, required=True, help="run folder; a run that was cut off goes on")
    text = "score the finished run in --out again, by other judges say: no model is loaded, no clip is opened"
    sub.add_argument("--score-only", action="store_true", help=text)
    sub.add_argument("--batch", type=int, help="pictures answered at once (default: 16); videos: one at a time")
    sub.add_argument("--max-new-tokens", type=int, help="of a reply (default: as in the original's script)")
    sub.add_argument("--fps", type=float, help="frames a second, of video benchmarks alone (default: 1)")
    add_judge_options(sub)
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    sub.epilog = "what --data must hold:\n" + "\n".join(f"  {name:13s} {files}" for name, files in FILES.items())


def judge(sub) -> None:
    from llamavid_kit.judge_options import add_judge_options

    sub.add_argument("run", type=Path, help="folder that `ablate` wrote for pairs without choices; judge A is its rule")
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    add_judge_options(sub, of="beside the rule of the run: rules and chat models, one or several", first="")


def restudy(sub) -> None:
    sub.add_argument("--predictions", type=Path, help="folder of its CSV files (default: the counts that ship)")
    sub.add_argument("--annotation", type=Path, help="UCF-Crime's temporal annotation, or a CSV of events")
    sub.add_argument("--out", type=Path, help="folder for restudy.md, restudy.json, tables and figures")


def bench(sub) -> None:
    sub.add_argument("--model", default="tiny", help=MODEL_HELP)
