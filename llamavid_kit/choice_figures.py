"""Figures about closed choices, in the look of `plots`: reliability curves."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from llamavid_kit.plot_look import house_figure
from llamavid_kit.plots import GREY, _whiskers, arm_colours


@house_figure
def reliability(table: pd.DataFrame, *, title: str | None = None) -> Figure:
    """How often a choice is right against how probable it was said to be; a line an arm, a panel a rule.

    table: columns arm, fps, fine_tuned, rule, n (clips of the bin), said (their mean probability), correct (clips),
    low, high (Wilson 95%, shares). On the dashed diagonal a model is calibrated, below it overconfident. A point's area
    is the share of the arm's clips that it stands for.
    """
    rules, colours = list(dict.fromkeys(table["rule"])), arm_colours(table)
    fig, axes = plt.subplots(1, len(rules), figsize=(3.4 + 4.6 * len(rules), 5.0), squeeze=False, sharey=True)
    for ax, rule in zip(axes[0], rules, strict=True):
        ax.plot([0, 1], [0, 1], ls="--", lw=2, color=GREY)
        for i, (arm, rows) in enumerate(table[table["rule"] == rule].groupby("arm", sort=False)):
            rows = rows.sort_values("said")
            share = (rows["correct"] / rows["n"]).to_numpy()
            bars = _whiskers(share, rows["low"].to_numpy(), rows["high"].to_numpy())
            ax.errorbar(rows["said"], share, yerr=bars, lw=2, ls=("-", "--", ":", "-.")[i % 4], capsize=3,
                        color=colours[arm], label=f"{arm} (n = {rows['n'].sum()})")  # fmt: skip
            ax.scatter(rows["said"], share, s=500 * rows["n"] / rows["n"].sum() + 12, color=colours[arm], zorder=3)
        ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="probability of the choice among the options")
        ax.set_title(f"likeliest choice, {rule}", fontsize=12)
        ax.set_xticks(np.linspace(0, 1, 6))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
    axes[0][-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=10)
    axes[0][0].set_ylabel("right (95% Wilson interval)")
    fig.suptitle(f"Is it as sure as it is right? {title or ''}".strip(), fontweight="bold")
    return fig
