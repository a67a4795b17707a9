"""Table and figure of measured batch sizes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from seedspread.records.files import draft_folder, unwritable_error
from seedspread.report.drawing import BLUE, COLUMN, ORANGE, ROW, STYLE, draw_legend, save_figure, write_title
from seedspread.training.batch_size import Measurement  # noqa: TID253 - the type, without torch

MIB = 2**20
REMINDER = (
    "Chosen by speed alone. After a change of the batch size, tune learning rate, momentum and regularisation again: "
    "their best values depend on it."
)
TABLE_HEAD = f"{'batch':>8}{'ms a step':>12}{'pictures/s':>12}{'peak MiB':>11}"


def table_line(one: Measurement) -> str:
    return f"{one.batch:>8,}{1000 * one.seconds:>12.1f}{one.rate:>12,.0f}{one.memory / MIB:>11,.0f}"


@mpl.rc_context(STYLE)
def draw_figure(found: Sequence[Measurement], choice: Measurement, name: str) -> Figure:
    """Pictures a second, and below peak memory, by batch size; the recommended one marked."""
    fig = Figure(figsize=(COLUMN, 1.5 * ROW), layout="constrained")
    top, below = fig.subplots(2, 1, sharex=True)
    batches = [one.batch for one in found]
    top.plot(batches, [one.rate for one in found], color=BLUE, marker=".")
    top.plot([choice.batch], [choice.rate], "o", color=ORANGE, label=f"recommended: {choice.batch:,}")
    below.plot(batches, [one.memory / MIB for one in found], color=BLUE, marker=".")
    below.plot([choice.batch], [choice.memory / MIB], "o", color=ORANGE)
    below.set_xscale("log", base=2)
    below.set_xticks(batches, [f"{batch:,}" for batch in batches])
    below.minorticks_off()
    below.set_xlabel("pictures in a batch")
    for ax, label in ((top, "pictures a second"), (below, "peak memory, MiB")):
        ax.set_ylim(0, 1.08 * ax.dataLim.ymax)
        ax.set_ylabel(label)
    draw_legend(top)
    write_title(top, name)
    return fig


def write_batch_size(found: Sequence[Measurement], choice: Measurement, folder: Path) -> None:
    """Write table and figure as batch_size.csv, .png and .svg into `folder`, all of them or none."""
    rows = [
        {"batch_size": one.batch, "ms_a_step": 1000 * one.seconds, "pictures_a_second": one.rate}
        | {"peak_mib": one.memory / MIB, "steps": one.steps, "recommended": one == choice}
        for one in found
    ]
    try:
        with draft_folder(folder) as draft:
            pd.DataFrame(rows).to_csv(draft / "batch_size.csv", index=False)
            save_figure(draw_figure(found, choice, folder.parent.name), draft, "batch_size")
    except OSError as error:
        raise unwritable_error(folder, error) from error
