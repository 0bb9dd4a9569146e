"""The figure of an audit: what a frame costs and how large it is, at each rate, for one model or several."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from llamavid_kit.viz.look import OTHERS, house_figure


@house_figure
def rate_audit(tables: pd.DataFrame | Sequence[pd.DataFrame], *, title: str | None = None) -> Figure:
    """Pixels a frame and tokens a frame against fps, a line a model; heights far apart are on a logarithmic scale.

    tables: `Audit.table()` of one model or of several, with the columns model, fps, pixels a frame, tokens a frame
    """
    table = tables if isinstance(tables, pd.DataFrame) else pd.concat(tables)
    rates = sorted(table["fps"].unique())
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.6))
    for i, (name, rows) in enumerate(table.groupby("model", sort=False)):
        rows = rows.sort_values("fps")
        style: dict[str, Any] = {"color": OTHERS[i % len(OTHERS)], "marker": "os^Dvp"[i % 6], "ms": 8, "lw": 2.5}
        for ax, column in zip(axes, ("pixels a frame", "tokens a frame"), strict=True):
            ax.plot(rows["fps"], rows[column], label=name, **style)
            ax.set(xscale="log", xlabel="frames a second (fps)")
            ax.set_title(column, fontweight="normal")
    for ax, column in zip(axes, ("pixels a frame", "tokens a frame"), strict=True):
        ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
        ax.set_xticks([], minor=True)
        low, high = table[column].min(), table[column].max()
        if high > 3 * low:
            ax.set(yscale="log", ylim=(low / 2, high * 2))
            ax.yaxis.set_minor_formatter(NullFormatter())
        else:
            ax.set(ylim=(0, 1.3 * high))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    fig.suptitle(title or "What a frame is, at each rate", x=0.01, ha="left", fontweight="bold")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    return fig
