"""`ablate`: arms over the same clips, then the report."""

import argparse
import logging
import math
from pathlib import Path

from llamavid_kit.commands.judge_options import add_judge_options, judges_of, spent
from llamavid_kit.commands.options import ANY_MODEL_HELP, PACKED, QUANTISE_HELP, gib, present, refuse
from llamavid_kit.data.clips_csv import GENERIC_TASK
from llamavid_kit.processes import rank

log = logging.getLogger(__name__)
OF_TRAINING = ("seeds", "shuffle_labels", "train_fps", "epochs", "learning_rate", "lora_rank")
RULES = ("exact", "normalised", "unique_mention", "first_mention", "last_mention", "exact_plus_Road_prefix")


def ablate_options(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--clips", type=Path, help="your own CSV: video,label[,start_s,end_s][,split]")
    source.add_argument("--crime", type=Path, help="UCF-Crime folder with its lists (or a toy set)")
    source.add_argument("--pairs", type=Path, nargs="+", help="JSONL files of instruction pairs, of one question")
    parser.add_argument("--root", type=Path, help="folder of the clips (default: the CSV's or JSONL's)")
    text = f'of --clips: what is asked before the list of labels (default: "{GENERIC_TASK}")'
    parser.add_argument("--question", help=text)
    tiers = ["all", "under_1800", "under_120"]
    parser.add_argument("--tier", choices=tiers, help="training tier of --crime (default: all)")
    parser.add_argument("--model", action="append", help=f"{ANY_MODEL_HELP}; several give each its own arms")
    parser.add_argument("--quantise", choices=PACKED, help=f"of every model: {QUANTISE_HELP}")
    parser.add_argument("--fps", type=float, nargs="+", default=[1, 6], help="frames a second (default: 1 6)")
    text = 'content tokens a frame: "mean" (1), "grid:2" (4), …, "all"; for example mean grid:2 (default: the model\'s)'
    parser.add_argument("--content", nargs="+", help=text)
    text = (
        "also change the clips: each:6, pool:6, no_context, mean_patch, context:QUESTION, no_content, guided, "
        "shuffled:SEED, blank, no_frames (guide own_factors); each gets arms beside those of the clips as they are"
    )
    parser.add_argument("--change", nargs="+", default=[], metavar="CHANGE", help=text)
    parser.add_argument("--seeds", type=int, nargs="+", help="training seeds of the fine-tuned arms (default: 0)")
    text = "train adapters at these rates, each to answer at every rate of --fps (default: each rate has its own)"
    parser.add_argument("--train-fps", type=float, nargs="+", help=text)
    text = "zero-shot arms only (also where no clip is for training)"
    parser.add_argument("--no-finetune", dest="finetune", action="store_false", help=text)
    parser.add_argument("--epochs", type=float, help="of an adapter's training (default: 6)")
    parser.add_argument("--learning-rate", type=float, help="likewise (default: 0.002)")
    parser.add_argument("--lora-rank", type=int, help="of the adapters (default: 16)")
    text = (
        f"how a written reply becomes a label: {', '.join(RULES)} (default: normalised, the whole reply, for the "
        "study's labels; unique_mention, the one label that a reply mentions, for others)"
    )
    parser.add_argument("--rule", choices=RULES, help=text, metavar="RULE")
    text = (
        'words of a closed question, each its own arms on the same clips: "study" (its wording, the default), "plain", '
        '"short" (ours); for example study,plain,short'
    )
    parser.add_argument("--prompts", default="study", help=text)
    text = "ask every arm again with the options shuffled clip by clip: does the answer depend on their order?"
    parser.add_argument("--shuffle-choices", type=int, metavar="SEED", help=text)
    parser.add_argument("--max-new-tokens", type=int, help="of a reply (default: 24; 128 for an open question)")
    parser.add_argument("--shuffle-labels", type=int, help="control: permute the training answers with this seed")
    text = "room for frame tokens; those used longest ago go, and are computed again if need be (default: no limit)"
    parser.add_argument("--cache-limit", type=gib, metavar="GIB", help=text)
    parser.add_argument("--out", type=Path, required=True, help="run folder; an interrupted run continues")
    add_judge_options(parser, of="of an open question that is not about animals: one rule or chat model", first="")


def ablate(args: argparse.Namespace) -> None:
    from llamavid_kit.experiments.ablation import ablate
    from llamavid_kit.experiments.arms import AblationConfig
    from llamavid_kit.experiments.report.answer import result_lines
    from llamavid_kit.experiments.report.page import write_report
    from llamavid_kit.experiments.run import Run
    from llamavid_kit.model.lora import LoraSettings
    from llamavid_kit.training.stages import TrainSettings

    if not args.finetune:
        refuse(args, OF_TRAINING, "for fine-tuned arms, and --no-finetune leaves them out")
    judges = judges_of(args)
    if len(judges) > 1 or args.judge_again:
        raise ValueError("one judge decides what is right; have others judge the finished run: `judge RUN`")
    pairs, root = _pairs(args)
    finetune = args.finetune and (any(p.split == "train" for p in pairs) or bool(present(args, *OF_TRAINING)))
    if args.finetune and not finetune:
        log.warning("no clip has the split train: zero-shot arms only (as with --no-finetune)")
    config = AblationConfig.for_pairs(
        pairs,
        model=tuple(args.model or ["tiny"]),
        source=str(args.clips or args.crime or args.pairs[0]),
        fps=tuple(args.fps),
        content=tuple(args.content or [None]),
        change=(None, *args.change),
        finetune=finetune,
        seeds=tuple(args.seeds or (0,)),
        train_fps=tuple(args.train_fps or ()),
        shuffle_labels=args.shuffle_labels,
        prompts=tuple(args.prompts.split(",")),
        shuffle_choices=args.shuffle_choices,
        train=TrainSettings(**present(args, "epochs", "learning_rate")),
        lora=LoraSettings() if args.lora_rank is None else LoraSettings(r=args.lora_rank),
        **present(args, "rule", "max_new_tokens", "quantise"),
    )
    judge = judges[0] if judges else None
    ablate(pairs, root=root, out=args.out, config=config, judge=judge, cache_bytes=args.cache_limit)
    if rank():
        return
    report = write_report(args.out, root=root)
    print("\n".join(result_lines(Run(args.out))))
    for line in spent(judges):
        print(line)
    print(f"report: {report}")


def _pairs(args: argparse.Namespace):
    """The pairs and the clips' root of one of the three ways to name them."""
    from llamavid_kit.data.pairs import read_jsonl

    if args.crime:
        refuse(args, ("root",), "for --clips and --pairs; --crime names the folder that holds the clips, too")
    else:
        refuse(args, ("tier",), "for --crime, whose training lists have tiers")
    if not args.clips:
        refuse(args, ("question",), "for --clips; other sources bring their question")
    if args.clips:
        from llamavid_kit.data.clips_csv import clips_from_csv

        task = {} if args.question is None else {"task": args.question}
        return clips_from_csv(args.clips, root=args.root, **task), args.root or args.clips.parent
    if args.crime:
        from data_prep.ucf_crime import build

        crime = build(args.crime, fps=[math.ceil(rate) for rate in args.fps])  # its frame rule counts in whole rates
        return [*crime.test, *crime.train[args.tier or "all"]], args.crime
    return [pair for path in args.pairs for pair in read_jsonl(path)], args.root or args.pairs[0].parent
