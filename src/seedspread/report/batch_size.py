"""Table and figure of measured batch sizes."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from seedspread.records.files import unwritable_error, write_atomically
from seedspread.report.drawing import BLUE, ORANGE, STYLE
from seedspread.training.batch_size import Measurement  # noqa: TID253 - the type, without torch

MIB = 2**20
REMINDER = (
    "Chosen by speed alone. After a change of the batch size, tune learning rate, momentum and regularisation again: "
    "their best values depend on it."
)


TABLE_HEAD = f"{'batch':>8}{'ms a step':>12}{'pictures/s':>12}{'peak MiB':>11}"


def table_line(one: Measurement) -> str:
    return f"{one.batch:>8,}{1000 * one.seconds:>12.1f}{one.rate:>12,.0f}{one.memory / MIB:>11,.0f}"


def draw_figure(found: Sequence[Measurement], choice: Measurement, name: str) -> Figure:
    """Pictures a second, and below peak memory, by batch size; the recommended one marked."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(5.6, 4.6), layout="constrained")
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
    top.set_title(name.replace("$", r"\$"))
    top.legend(loc="lower right")
    return fig


def write_batch_size(found: Sequence[Measurement], choice: Measurement, folder: Path) -> None:
    """Write table and figure as batch_size.csv, .png and .svg into `folder`, each file whole or not at all."""
    rows = [
        {"batch_size": one.batch, "ms_a_step": 1000 * one.seconds, "pictures_a_second": one.rate}
        | {"peak_mib": one.memory / MIB, "steps": one.steps, "recommended": one == choice}
        for one in found
    ]
    files = {"csv": pd.DataFrame(rows).to_csv(index=False).encode()}
    with mpl.rc_context(STYLE):
        drawn = draw_figure(found, choice, folder.parent.name)
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            file = io.BytesIO()
            drawn.savefig(file, format=kind, metadata=metadata)
            files[kind] = file.getvalue()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, data in files.items():
            write_atomically(folder / f"batch_size.{kind}", data)
    except OSError as error:
        raise unwritable_error(folder, error) from error
