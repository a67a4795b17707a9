"""What all figures have in common: style, panels, bands, files."""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from seedspread.report.findings import Findings
from seedspread.statistics import Array, Bands, Interval

T = TypeVar("T")
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#5f5f5f"
COLUMN, ROW = 4.2, 2.5  # inches: text of 8 points is legible where a telephone shows a column in full
LINE = 50  # letters across a column
LEGEND_ROW = 11.5  # points
MANY = 500  # points; more are drawn as pixels in an SVG
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.dpi": 110,
    "font.size": 8.5,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "savefig.dpi": 200,
    "svg.hashsalt": "seedspread",  # the same study gives the same file
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


Drawing = Callable[[T], Figure]


def make_panels(several: Sequence[Findings], rows: int = 1, share: bool = False) -> tuple[Figure, Array]:
    """A figure with a column of `rows` axes for each study; `share` gives each row one scale."""
    fig = Figure(figsize=(COLUMN * len(several), ROW * rows), layout="constrained")
    return fig, fig.subplots(rows, len(several), squeeze=False, sharey="row" if share else "none")


def draw_columns(rows: int = 1, share: bool = False) -> Callable[[Callable[..., None]], Drawing[Sequence[Findings]]]:
    """Turn a function that draws one study, `draw(found, *axes)`, into one that draws several, a column for each."""

    def decorate(draw: Callable[..., None]) -> Drawing[Sequence[Findings]]:
        @wraps(draw)
        def figure(several: Sequence[Findings]) -> Figure:
            fig, axes = make_panels(several, rows, share)
            for column, found in zip(axes.T, several, strict=True):
                draw(found, *column)
                set_title(column[0], found)
            return fig

        return figure

    return decorate


def escape_math(name: str) -> str:
    """A name for a figure, in which nothing is read as mathematics."""
    return name.replace("$", r"\$")


def wrap_label(name: str, letters: int = 22) -> str:
    """A name beside an axis, in lines so short that they leave room for what is drawn."""
    return "\n".join(escape_math(line) for part in name.split("\n") for line in textwrap.wrap(part, letters))


def set_title(ax: Axes, found: Findings, more: str = "") -> None:
    """Title the axes with study and seeds; above the legend, which is drawn before."""
    write_title(ax, f"{found.name}, {found.n:,} seed{'s' * (found.n > 1)}{more}")


def write_title(ax: Axes, title: str) -> None:
    """Write a title above the legend, in as many lines as it takes."""
    legend = ax.get_legend()
    labels = [text.get_text() for text in legend.get_texts()] if legend else []
    ax.set_title(escape_math(textwrap.fill(title, LINE)), pad=5 + LEGEND_ROW * legend_rows(labels))


def legend_columns(labels: Sequence[str]) -> int:
    """As many as fit into the width of a column."""
    letters, most = [len(label) + 6 for label in labels], 1.1 * LINE
    return len(labels) if sum(letters) <= most else max(1, min(len(labels), int(most / max(letters))))


def legend_rows(labels: Sequence[str]) -> int:
    """The lines of a legend of these labels."""
    return math.ceil(len(labels) / legend_columns(labels)) if labels else 0


def draw_legend(ax: Axes) -> None:
    """Draw the legend above the axes, where it covers no data and crosses no title; none where nothing has a label."""
    _, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 0.985), ncols=legend_columns(labels),
        borderpad=0, borderaxespad=0.4, columnspacing=1.0, handlelength=1.4, labelspacing=0.3,
    )  # fmt: skip


def use_log_ticks(axis: Axis, subs: Sequence[float] = (1, 2, 5)) -> None:
    """Label `subs` of each decade of a logarithmic axis as plain numbers."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def use_integer_ticks(*axes: Axes) -> None:
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_bands(ax: Axes, x: Array, band: Bands, around: Array | float = 0.0, seeds: Array | None = None) -> None:
    """Draw the mean, ± 1 std and the range at `x` (E,), as distances from `around`.

    `seeds` (E,) are behind each point: where they differ, the legend says how many.
    """
    name = "mean" if seeds is None or np.ptp(seeds) == 0 else f"mean, of {seeds.max():,} to {seeds.min():,} seeds"
    if len(x) == 1:  # a band needs two points: draw a block around the single epoch
        x, band = x + np.array([-0.1, 0.1]), band.at([0, 0])
    ax.fill_between(x, band.min - around, band.max - around, color=BLUE, alpha=0.18, linewidth=0, label="min to max")
    if len(band.std) and np.isfinite(band.std).any():
        low, high = band.mean - band.std - around, band.mean + band.std - around
        ax.fill_between(x, low, high, color=BLUE, alpha=0.45, linewidth=0, label="± 1 std")
    ax.plot(x, band.mean - around, color="black", linewidth=1.2, label=name)


@mpl.rc_context(STYLE)
def draw_dots(rows: Sequence[tuple[str, float, Interval, str]], what: str) -> Figure:
    """A row for each label, value, interval and colour: a dot, and a line for a known interval, on an axis from 0."""
    fig = Figure(figsize=(COLUMN, 0.9 + 0.42 * len(rows)), layout="constrained")
    ax = fig.subplots()
    for row, (_, value, interval, colour) in enumerate(rows):
        if interval.is_known:
            ax.plot(interval, [row, row], color=colour, linewidth=2)
        ax.plot([value], [row], "o", color=colour)
    ax.set_yticks(range(len(rows)), [wrap_label(label) for label, *_ in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel(textwrap.fill(what, LINE))
    return fig


@mpl.rc_context(STYLE)
def save_figure(figure: Figure, folder: Path, name: str) -> None:
    """Write `figure` as NAME.png and NAME.svg into `folder`, the same bytes each time."""
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


def save_figures(figures: Mapping[str, Drawing[T]], what: T, folder: Path) -> dict[str, str]:
    """Draw `figures` of `what`, as PNG and SVG, into `folder`; return their captions, their docstrings, by name."""
    for name, draw in figures.items():
        with mpl.rc_context(STYLE):
            save_figure(draw(what), folder, name)
    return {name: " ".join((draw.__doc__ or "").split()) for name, draw in figures.items()}
