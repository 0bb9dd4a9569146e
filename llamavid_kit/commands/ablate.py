"""`ablate`: arms over the same clips, then the report."""

import argparse
import math
from pathlib import Path

from llamavid_kit.commands.options import MODEL_HELP, present, refuse


def ablate_options(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--clips", type=Path, help="your own CSV: video,label[,start_s,end_s][,split]")
    source.add_argument("--crime", type=Path, help="UCF-Crime folder with its lists (or a toy set)")
    source.add_argument("--pairs", type=Path, nargs="+", help="JSONL files of instruction pairs, of one question")
    parser.add_argument("--root", type=Path, help="folder of the clips (default: the CSV's or JSONL's)")
    tiers = ["all", "under_1800", "under_120"]
    parser.add_argument("--tier", choices=tiers, help="training tier of --crime (default: all)")
    parser.add_argument("--model", default="tiny", help=MODEL_HELP)
    parser.add_argument("--fps", type=float, nargs="+", default=[1, 6])
    parser.add_argument("--seeds", type=int, nargs="+", help="training seeds of the fine-tuned arms (default: 0)")
    parser.add_argument("--no-finetune", dest="finetune", action="store_false", help="zero-shot arms only")
    parser.add_argument("--rule", default="normalised", help="how a reply becomes a label, see scoring.RULES")
    text = (
        'words of a closed question, each its own arms on the same clips: "study" (its wording, the default), "plain", '
        '"short" (ours); for example study,plain,short'
    )
    parser.add_argument("--prompts", default="study", help=text)
    text = "ask every arm again with the options shuffled clip by clip: does the answer depend on their order?"
    parser.add_argument("--shuffle-choices", type=int, metavar="SEED", help=text)
    parser.add_argument("--max-new-tokens", type=int, help="of a reply (default: 24; 128 for an open question)")
    parser.add_argument("--shuffle-labels", type=int, help="control: permute the training answers with this seed")
    parser.add_argument("--out", type=Path, required=True, help="run folder; a run that was cut off goes on")


def ablate(args: argparse.Namespace) -> None:
    from llamavid_kit.experiments.ablation import AblationConfig, ablate
    from llamavid_kit.experiments.report.page import write_report

    if not args.finetune:
        refuse(args, ("seeds", "shuffle_labels"), "for fine-tuned arms, and --no-finetune leaves them out")
    pairs, root = _pairs(args)
    config = AblationConfig.for_pairs(
        pairs,
        model=args.model,
        source=str(args.clips or args.crime or args.pairs[0]),
        fps=tuple(args.fps),
        finetune=args.finetune,
        seeds=tuple(args.seeds or (0,)),
        rule=args.rule,
        shuffle_labels=args.shuffle_labels,
        prompts=tuple(args.prompts.split(",")),
        shuffle_choices=args.shuffle_choices,
        **present(args, "max_new_tokens"),
    )
    summary = ablate(pairs, root=root, out=args.out, config=config)
    for arm in summary["arms"]:
        low, high = arm["wilson95"]
        score = f" score {arm['score']:.2f}" if "score" in arm else ""
        share = f"{arm['accuracy']:6.1%} [{low:.1%}, {high:.1%}]"
        print(f"{arm['name']:34s} {arm['correct']:4d}/{arm['n']:<4d} {share}{score}  by {arm['rule']}")
    for row in summary["excluded"]:
        print(f"left out: {row['clip']} ({row['split']}): {row['reason']}")
    print(f"report: {write_report(args.out)}")


def _pairs(args: argparse.Namespace):
    """The pairs and the clips' root of one of the three ways to name them."""
    from llamavid_kit.data.pairs import read_jsonl

    if args.crime:
        refuse(args, ("root",), "for --clips and --pairs; --crime names the folder that holds the clips, too")
    else:
        refuse(args, ("tier",), "for --crime, whose training lists have tiers")
    if args.clips:
        from llamavid_kit.data.clips_csv import clips_from_csv

        return clips_from_csv(args.clips, root=args.root, for_training=args.finetune), args.root or args.clips.parent
    if args.crime:
        from data_prep.ucf_crime import build

        crime = build(args.crime, fps=[math.ceil(rate) for rate in args.fps])  # its frame rule counts in whole rates
        return [*crime.test, *crime.train[args.tier or "all"]], args.crime
    return [pair for path in args.pairs for pair in read_jsonl(path)], args.root or args.pairs[0].parent
