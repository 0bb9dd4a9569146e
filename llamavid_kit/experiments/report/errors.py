"""What goes wrong in replies about animals: kinds of error, and examples that nobody picked."""

from typing import Any

import numpy as np
import pandas as pd

from llamavid_kit.evaluation.judges.animal_judge import AnimalVerdict, judge
from llamavid_kit.experiments.report.tables import of_arms
from llamavid_kit.experiments.run import Run

KINDS = ("perfect", "missed action", "invented action", "wrong animal", "not parsed", "nothing parsed", "empty reply")


def error_table(run: Run) -> pd.DataFrame:
    """How many of an arm's replies have each kind of error, all clips counted; a reply may have several kinds."""
    rows = []
    for arm in of_arms(run, "generation", every=True).itertuples():
        kinds = [list(_verdict(run, line).errors) or ["perfect"] for line in run.of(arm.key).itertuples()]
        counts = {kind: sum(kind in of_reply for of_reply in kinds) for kind in KINDS}
        rows.append({"arm": arm.arm, "replies": len(kinds), **counts})
    return pd.DataFrame(rows)


def examples(run: Run, n: int = 6, *, fps: float | None = None, seed: int = 0) -> pd.DataFrame:
    """Like the study's Table 5: up to `n` clips with truth, zero-shot and fine-tuned reply and the errors of each.

    Nobody picks them: of the clips on which at least one of the two replies is not perfect, `n` are drawn by numpy's
    default_rng(seed), and shown in the order of the clip list; `attrs["chosen"]` of the table says so. fps: one of the
    run's, by default the largest; of several trained models the first seed's is shown.
    """
    fps = run.fps[-1] if fps is None else fps
    if fps not in run.fps:
        raise ValueError(
            f"fps={fps:g}: the run has {', '.join(f'{rate:g}' for rate in run.fps)} fps; ask for one of them"
        )
    arms = of_arms(run, "generation")
    arms = arms[(arms["fps"] == fps) & (arms["seed"].isna() | arms["seed"].isin(run.seeds[:1]))]
    by_kind = {
        "fine-tuned" if arm.fine_tuned else "zero-shot": run.of(arm.key).set_index("clip") for arm in arms.itertuples()
    }
    order = list(run.test["clip"])
    wrong = [clip for clip in order if any(rows.loc[clip, "score"] < 5 for rows in by_kind.values())]
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(wrong), min(n, len(wrong)), replace=False).tolist() if wrong else []
    table = []
    for clip in (wrong[k] for k in sorted(drawn)):
        row = {"clip": clip, "truth": next(iter(by_kind.values())).loc[clip, "truth"]}
        for kind, rows in by_kind.items():
            line = rows.loc[clip]
            errors = _in_words(_verdict(run, line))
            row |= {kind: line["reply"], f"{kind}: score": line["score"], f"{kind}: errors": errors}
        table.append(row)
    drawn_table = pd.DataFrame(table)
    drawn_table.attrs["chosen"] = (
        f"{len(table)} of the {len(wrong)} clips (of {len(order)}) on which not every reply at {fps:g} fps is perfect, "
        f"drawn by numpy's default_rng({seed}) from the clip list: nobody picked them."
    )
    return drawn_table


def _verdict(run: Run, line: Any) -> AnimalVerdict:
    return judge(line.reply, line.truth, run.animals)


def _in_words(verdict: AnimalVerdict) -> str:
    """Kinds of error with their claims: "missed action (lion: eating); wrong animal (wolf: walking)"."""
    kinds = [f"{kind} ({', '.join(claims)})" if claims else kind for kind, claims in verdict.errors.items()]
    return "; ".join(kinds) or "none"


def all_tables(run: Run) -> dict[str, pd.DataFrame]:
    """File name → table, those that the run has."""
    tables = {"error_counts": error_table(run), "example_errors": examples(run)} if run.animals else {}
    return {name: table.assign(rule=run.rule) for name, table in tables.items() if len(table)}
