"""Sentences about how a run's closed question was asked, computed from the run: rule, calibration, place, prompt.

Each function takes a `Run` and gives Markdown, as `findings` does; the tables are `choice_tables.py`'s.
"""

from llamavid_kit.evaluation.calibration import CHOICE_RULES
from llamavid_kit.evaluation.scoring import RULE_TEXT
from llamavid_kit.evaluation.statistics import wilson
from llamavid_kit.experiments.report import tables_choices as tables
from llamavid_kit.experiments.report.tables import arm_counts, interval, paired, percent
from llamavid_kit.experiments.run import Run

SURE = 0.05


def rules(run: Run) -> str:
    """Both ways to pick a choice, in words, and which one labels follow."""
    keys = list(arm_counts(run, "likelihood", every=True)["key"])
    found = {key: tables.picks(run, key) for key in keys}
    told = "; ".join(f"*{name}*: {text}" for name, text in CHOICE_RULES.items())
    said = f"Two rules turn likelihoods into a label. {told}. **Every other table of this report uses raw.**"
    if not any(found.values()):
        return f"{said} The likelihoods were **not recorded** in this run: what per token would give is unknown."
    if any(len(picked) < len(CHOICE_RULES) for picked in found.values()):
        return f"{said} The choices' lengths were **not recorded** in this run, so per token cannot be counted."
    pairs = [[labels for labels, _ in picked.values()] for picked in found.values()]
    changed, n = sum(int((a != b).sum()) for a, b in pairs), sum(len(a) for a, _ in pairs)
    return f"{said} The two disagree on {changed} of {n} answers, all arms together."


def generation(run: Run) -> str:
    """The matching rule of written replies."""
    rule = run.summary.get("rule") or run.config.get("rule") or tables.NOT_RECORDED
    return f"Written replies become labels by rule `{rule}`: {RULE_TEXT.get(rule, 'not known to this version')}."


def calibration(run: Run) -> str:
    """Which arms are off by more than luck, and in which direction."""
    found = {k: x for k, x in tables.calibrations(run).items() if k[1] == "raw"}
    if not found:
        return (
            "The likelihoods were **not recorded** in this run: whether the model is as sure as it is right is unknown."
        )
    said = []
    for (key, _), one in found.items():
        low, high = (100 * x for x in one.interval95)
        luck = 100 * one.if_calibrated
        way = "too sure" if one.said > one.right else "not sure enough"
        more = f"more than luck explains (up to {luck:.1f}): on the whole {way}"
        less = f"no more than a calibrated model shows by luck on so few clips (up to {luck:.1f})"
        verdict = more if one.error > one.if_calibrated else less
        said.append(
            f"- {run.shown(run.arm(key))}: error {100 * one.error:.1f} points (95% interval {low:.1f} to {high:.1f}), "
            f"{verdict}; mean probability {one.said:.1%}, right {one.right:.1%}, n = {one.n}."
        )
    return "\n".join(["By rule *likeliest choice, raw*:", "", *said])


def places(run: Run) -> str:
    """What the table of places can tell, with and without shuffled options."""
    if any(arm.get("shuffle") is not None for arm in run.summary["arms"]):
        return (
            "Where the options were shuffled, every label stands in every place, so a place that is chosen more often "
            "than it is true draws answers by itself. As listed, place and label are the same thing."
        )
    return (
        "All clips were asked with the options in one order, so **place and label are the same thing here**: that the "
        "first option is chosen too often may mean that it is first, or that the model likes that label. "
        "`--shuffle-choices` tells the two apart."
    )


def order(run: Run) -> str:
    """How many choices changed with the order alone, over all arms that were asked twice."""
    said = []
    for (key, _), found in tables.order_pairs(run).items():
        arm = run.arm(key)
        share = f"{found.changed} of {found.n} = {percent(found.changed, found.n)} ({interval(*found.wilson95)})"
        said.append(f"- {run.shown(arm)}, {arm['answering']}: {share}.")
    if not said:
        return "No arm was asked with its options in another order: how often that alone changes the choice is unknown."
    head = "Clips whose label changed when **nothing but the order of the options** did, with Wilson's 95% interval:"
    return "\n".join([head, "", *said])


def prompts(run: Run) -> str:
    """How many pairs of prompts differ, and how far apart they lie."""
    table = paired(run, family="prompts")
    if table.empty:
        return "One wording was asked: how much the prompt decides is unknown."
    sure, widest = table[table["p_holm"] < SURE], table.loc[table["difference"].abs().idxmax()]
    changed = int(widest["only_a"] + widest["only_b"])
    low, high = wilson(changed, int(widest["n"]))
    return (
        f"{len(sure)} of {len(table)} pairs of prompts differ in accuracy with p < {SURE:g} after Holm's correction "
        f"over the table. The widest gap: {widest['a']} against {widest['b']} ({widest['rule']}), "
        f"{100 * widest['difference']:+.1f} points, 95% interval {100 * widest['low']:+.1f} to "
        f"{100 * widest['high']:+.1f}; only one of the two is right on {changed} of {widest['n']} clips "
        f"({interval(low, high)}). Fine-tuned models were trained on the study's wording alone."
    )
