"""Sentences of the report on an open run, computed from it: what was found, how surely, and what is not shown.

Each function takes a `Run` and gives Markdown. No result is written down here. What open and closed runs have in common
is said by `findings.py`.
"""

import html

from llamavid_kit.evaluation.judges.animal_judge import YES_SCORE, judge, parse
from llamavid_kit.experiments.report import tables as tables
from llamavid_kit.experiments.report import text as findings
from llamavid_kit.experiments.run import Run


def clips(run: Run) -> str:
    """How many clips and claims, what the rule could not read of the truth, the baseline."""
    truths = [parse(truth, animals=run.animals) for truth in run.test["label"]]
    n, claims = len(run.test), [claim for truth in truths for claim in truth]
    unread = [claim for claim in claims if claim.animal is None]
    said = [
        f"**{findings.plural(n, 'test clip')}** whose true answers hold {findings.plural(len(claims), 'claim')} about "
        f"{findings.plural(len({c.key[0] for c in claims if c.animal}), 'animal')}; the list was fixed before the "
        f"first arm ran. {findings.plural(len(run.excluded), 'clip')} left out.",
        f"The rule could not read {len(unread)} of them as an animal with an action"
        + (": only a reply in the same words can match those." if unread else "."),
        _baseline(run),
    ]
    if n < findings.FEW:
        said.append(f"**{findings.plural(n, 'clip')} are too few for anything but a very large difference.**")
    return "\n\n".join(said)


def _baseline(run: Run) -> str:
    base = run.summary["baseline"]
    origin = {
        "train": f"the sentence that most training answers hold ({base['n_answers']} of them)",
        "test": f"the most frequent sentence of **these very clips** ({base['n_answers']} answers), for want of "
        "training clips: it knows more than a model may",
    }[base["from"]]
    return (
        f'The baseline always answers "{html.escape(base["label"])}", {origin}. It is right on {base["correct"]} of '
        f"{base['n']} clips ({tables.percent(base['correct'], base['n'])}), with a mean score of {base['score']:.2f}: "
        "an arm has learned something about the videos only if it does better."
    )


def rule(run: Run) -> str:
    """How a reply is judged, and on an example from the run's own clips."""
    truth = run.test["label"].iloc[0]
    first = str(parse(truth, animals=run.animals)[0])
    example = judge(truth + " The unicorn is singing.", truth, run.animals)
    return (
        "A rule reads truth and reply as sets of claims, *animal: action* (so order and repetition do not matter), and "
        "counts the claims that both hold; a sentence that it cannot read counts as a claim that is wrong. **F1** is "
        "the harmonic mean of precision (which share of the reply is true) and recall (which share of the truth was "
        "said). The **score** is 0 where nothing matches, 5 where everything does, else 1 to 4 by the quarter in which "
        f"F1 lies; a reply counts as **right** from score {YES_SCORE}, F1 of one half. "
        f'An example: the truth of the first clip begins with "{html.escape(first)}"; the whole truth and one invented '
        f"sentence would get precision {example.precision:.2f}, recall {example.recall:.2f}, score {example.score}. "
        "Only words are compared: a synonym, or a more general name of the animal, is wrong. *Animals alone* and "
        "*actions alone* say what is right apart; they do not enter the score."
    )


def accuracy(run: Run) -> str:
    """Which arms are above the baseline, and the replies in which nothing could be read."""
    arms, base = tables.arm_counts(run, "generation"), run.summary["baseline"]
    share = base["correct"] / base["n"]
    above, below = arms[arms["low"] > share]["arm"], arms[arms["high"] < share]["arm"]
    within = arms[(arms["low"] <= share) & (arms["high"] >= share)]["arm"]
    said = [f"The baseline is right on {share:.1%}."]
    for names, words in ((above, "Above it"), (within, "Not told apart from it"), (below, "Below it")):
        if len(names):
            said.append(f"{words} by the 95% interval of accuracy: {'; '.join(names)}.")
    silent = sum(arm["nothing_parsed"] for arm in run.summary["arms"])
    said.append(
        f"In {silent} of {int(arms['n'].sum())} replies the rule found no animal with an action; they score 0 unless "
        "the truth has the same words."
    )
    flat = [run.shown(arm) for arm in run.summary["arms"] if max(arm["scores"]) == arm["n"]]
    if flat:
        said.append(
            f"**All clips score alike in: {'; '.join(flat)}.** A bootstrap sees no spread there, and its interval has "
            "no width; that does not make the number certain. Wilson's interval of the accuracy has no such flaw."
        )
    return " ".join(said)


def published(run: Run) -> str:
    """What stands in the study's columns."""
    return (
        "The last two columns are no goal but a reminder: a study asked a 7-billion-parameter model about 812 clips of "
        "Animal Kingdom, **not these clips**, and a language model judged its replies, **not this rule**. **No log "
        "supports these numbers**: neither replies nor verdicts were kept, so nobody can recount them. A language "
        "model grants synonyms and half-right answers, a rule does not: the two scales must not be compared; at "
        "most, with care, the direction from arm to arm."
    )


def pairs(run: Run) -> str:
    """The main comparison's verdict, by accuracy and by score, and how many of all comparisons decide something."""
    rows = run.summary["paired"]
    if not rows:
        return "No two arms were compared."
    main = findings.main_pair(run, "generation")
    said = []
    if main is not None:
        said.append(findings.verdict(main))
        row = next(r for r in rows if (r["a"], r["b"]) == (main["key_a"], main["key_b"]))
        low, high = row["score_interval95"]
        word = "differ" if row["score_p_holm"] < findings.SURE else "are not told apart"
        said.append(
            f"By mean score they {word}: the second is {row['score_difference']:+.2f} from the first (95% interval "
            f"{low:+.2f} to {high:+.2f}; permutation test after Holm p {findings.p_text(row['score_p_holm'])})."
        )
    if len(run.fps) < 2:
        said.append("Only one frame rate was run: this run says nothing about frame rates.")
    sure = sum((r["p_holm"] < findings.SURE) + (r["score_p_holm"] < findings.SURE) for r in rows)
    said.append(
        f"Of {2 * len(rows)} tests ({len(rows)} comparisons, by accuracy and by score), {sure} have p < "
        f"{findings.SURE:g} after Holm's correction over all of them."
    )
    return "\n\n".join(said)


def limits(run: Run) -> str:
    """What the run does not show, as a list."""
    n = len(run.test)
    said = {
        f"**What about the frame rate matters.** Between {run.fps[0]:g} and {run.fps[-1]:g} fps three things change "
        "together: which frames there are, how many tokens the language model reads, and at which positions they "
        "stand. The arms cannot tell these apart.": len(run.fps) > 1,
        "**Anything about real videos.** Clips and model belong to a small made-up world.": "toy"
        in f"{run.world} {run.source}",
        "**That one recipe beats another.** Each was trained once: two models were compared.": len(run.seeds) == 1,
        f"**Much at all.** {findings.plural(n, 'clip')}: see section 2.": n < findings.FEW,
        "**That a zero-shot model does not see the animals.** The rule knows the wording of this set's answers, which "
        "a fine-tuned model has read and a zero-shot model has not: part of a gain from fine-tuning is learning to say "
        "it in these words. Table 5 and *animals alone* show how much is wording.": bool(run.seeds),
        "**What a kind reader would grant.** Another judge gives other numbers from the same replies, and its ranking "
        "of the arms may differ.": True,
        "**Other questions.** One wording of one question was asked.": True,
    }
    return "\n".join(f"- {line}" for line, holds in said.items() if holds)
