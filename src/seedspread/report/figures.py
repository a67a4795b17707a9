"""Figures of studies, a column for each, in colours for print and for colour-blind readers (Okabe and Ito 2008).

The docstring of a figure is its caption on the page.
"""

import math
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from seedspread import statistics as st
from seedspread.decide.arms import Arm
from seedspread.records.metric import Metric
from seedspread.report.drawing import (
    BLUE,
    COLUMN,
    GREEN,
    GREY,
    MANY,
    ORANGE,
    ROW,
    STYLE,
    draw_bands,
    draw_columns,
    draw_dots,
    draw_legend,
    make_panels,
    save_figures,
    set_title,
    use_integer_ticks,
    use_log_ticks,
    wrap_label,
    write_title,
)
from seedspread.report.findings import Findings, pair_scores
from seedspread.report.labels import label, with_unit
from seedspread.report.study_words import TITLE_SEED
from seedspread.statistics import Array

MARKED_SEEDS = (0, 42, TITLE_SEED)
FEW = 10  # seeds: fewer are dots, not bars
MOST_BINS = 80
COVER = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # of a line that a label cannot but cross
LETTER = 0.0165  # of the width of a column's axes: a letter of a label
LOSSES = ("val/loss", "train/loss")


def learning_curves(several: Sequence[Findings]) -> Figure:
    """Scores over the training: mean (line), ± 1 std (dark), minimum to maximum (light), of the seeds that have one.

    Below, the distance from the mean curve, at the scale of the later points.
    """
    # The paper's figure 1.
    fig, axes = make_panels(several, rows=2)
    limits = []
    for (top, below), found in zip(axes.T, several, strict=True):
        points, band = found.points, st.bands(found.curves)
        below.set_xlabel(found.scores.axis)
        top.set_ylabel(label(found.scores))
        below.set_ylabel(f"{found.digits.difference_suffix} from the mean".strip())
        if len(points):
            draw_bands(top, points, band, seeds=np.isfinite(found.curves).sum(axis=0))
            draw_legend(top)
        set_title(top, found)
        if not len(points):
            continue
        draw_bands(below, points, band, around=band.mean)
        use_integer_ticks(top, below)
        late = slice(-max(2, len(points) // 4), None)
        limits.append(1.2 * max(np.abs(band.max - band.mean)[late].max(), np.abs(band.min - band.mean)[late].max()))
    if (limit := max(limits, default=0)) > 0:  # by the later epochs; wider bands of earlier ones are clipped
        for below in axes[1]:
            below.set_ylim(-limit, limit)
    return fig


def losses(several: Sequence[Findings]) -> Figure:
    """Losses of validation or test set, and of training: mean, ± 1 std, minimum to maximum."""
    shown = [name for name in LOSSES if any(len(found.scores.logged(name)[0]) for found in several)]
    fig, axes = make_panels(several, rows=len(shown))
    for column, found in zip(axes.T, several, strict=True):
        for ax, name in zip(column, shown, strict=True):
            points, curves = found.scores.logged(name)
            ax.set_ylabel(label(found.scores, name))
            if len(points):
                draw_bands(ax, points, st.bands(curves), seeds=np.isfinite(curves).sum(axis=0))
        draw_legend(column[0])
        set_title(column[0], found)
        use_integer_ticks(*column)
        column[-1].set_xlabel(found.scores.axis)
    return fig


def histogram(several: Sequence[Findings]) -> Figure:
    """Final scores of all seeds, with their density and the normal distribution of the same mean and std at the scale
    of the bars, and the worst, best and well-known seeds. Fewer than ten seeds are dots, one each.
    """
    # The paper's figures 2 and 3. Axes have the same width, so that spreads compare; the title counts the outliers.
    fig, axes = make_panels(several)
    fig.set_figheight(1.25 * ROW)  # room for the labels of seeds
    bulks = [np.delete(found.scores.final, found.outliers) for found in several]
    all_edges = [bin_edges(bulk, found.step) for found, bulk in zip(several, bulks, strict=True)]
    half = max(max(0.6 * np.ptp(edges), 3 * found.step) for found, edges in zip(several, all_edges, strict=True))
    for ax, found, bulk, edges in zip(axes[0], several, bulks, all_edges, strict=True):
        middle = (edges[0] + edges[-1]) / 2
        low, high = found.scores.metric.limits
        ax.set_xlim(max(middle - half, low - found.step), min(middle + half, high + found.step))
        if len(bulk) < FEW:
            ax.plot(bulk, _stack(bulk, np.ptp(ax.get_xlim()) / 30), "o", color=BLUE, markersize=7, alpha=0.7)
            ax.set_ylim(0, None)
        else:
            ax.hist(bulk, bins=edges.tolist(), color=BLUE, alpha=0.3, linewidth=0)
        if FEW <= len(bulk) <= MANY:
            places = np.unique(bulk)  # accuracies of many seeds lie on few places
            ax.plot(places, np.zeros(len(places)), "|", color="black", markersize=7)
        if len(bulk) >= FEW and not st.is_constant(bulk):
            left, right = ax.get_xlim()
            x, area = np.linspace(left, right, 400), len(bulk) * (edges[1] - edges[0])
            ax.plot(x, area * stats.gaussian_kde(bulk)(x), color=BLUE, label="density")
            normal = stats.norm(bulk.mean(), bulk.std(ddof=1)).pdf(x)
            ax.plot(x, area * normal, color="black", linestyle="--", linewidth=1, label="normal")
            draw_legend(ax)
        _mark_seeds(ax, found)
        ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.set_xlabel(f"final {label(found.scores)}")
        ax.set_ylabel("seeds")
        left = len(found.outliers)
        set_title(ax, found, f" ({left} outlier{'s' * (left > 1)} left out)" if left else "")
    return fig


def _stack(scores: Array, width: float) -> Array:
    """Heights of dots so wide (S,): each stands on those that it would cover."""
    heights = np.ones(len(scores))
    for i in range(1, len(scores)):
        below = heights[:i][np.abs(scores[:i] - scores[i]) < width]
        heights[i] = below.max(initial=0.0) + 1
    return heights


def bin_edges(scores: Array, step: float) -> Array:
    """Bin edges (B + 1,) at equal distances, at most MOST_BINS bins as wide as Freedman and Diaconis 1981 would.

    Where scores come in steps, as accuracies do, each bin holds equally many possible scores: others show an artificial
    comb. A `step` of 0 is one that is not known: scores of which some are equal are taken to come in their smallest.
    """
    wanted = 2 * stats.iqr(scores) / np.cbrt(len(scores))
    if step := step or _smallest_step(scores):
        width = step * max(1, round(wanted / step), math.ceil(np.ptp(scores) / step / MOST_BINS))
        bins = math.ceil(round((np.ptp(scores) + step) / width, 6))
        places = round((bins * width - np.ptp(scores)) / step) - 1  # possible scores beyond the extremes
        return scores.min() - step * (0.5 + places // 2) + width * np.arange(bins + 1)
    width = wanted or np.ptp(scores) or np.abs(scores).max() / 100 or 1.0
    bins = min(MOST_BINS, max(1, math.ceil(np.ptp(scores) / width)))
    width = max(width, np.ptp(scores) / bins)
    return (scores.min() + scores.max() - width * bins) / 2 + width * np.arange(bins + 1)


def _smallest_step(scores: Array) -> float:
    """The distance of which all distances between scores are multiples; 0 where no two scores are equal."""
    values = np.unique(scores)
    if not 1 < len(values) < len(scores):
        return 0.0
    gaps = np.unique(np.diff(values))
    step, rounding = float(gaps[0]), 0.02 * float(gaps[0])
    for gap in gaps[1:].tolist():
        larger, smaller = gap, step  # Euclid's algorithm
        while smaller > rounding:
            rest = larger % smaller
            larger, smaller = smaller, rest if smaller - rest > rounding else 0.0
        step = larger
    return step


def _mark_seeds(ax: Axes, found: Findings) -> None:
    """Draw vertical lines at the worst, the best and well-known seeds, with labels that no line crosses."""
    s = found.scores
    where = {seed: float(s.final[i]) for i, seed in enumerate(s.seeds.tolist())}
    marks = [(s.worst, f"worst: seed {s.worst}", ORANGE), (s.best, f"best: seed {s.best}", ORANGE)]
    if s.worst == s.best:
        marks = [(s.best, f"seed {s.best}", ORANGE)]
    marks += [(seed, f"seed {seed}", GREEN) for seed in MARKED_SEEDS if seed in where and seed not in (s.worst, s.best)]
    low, high = ax.get_xlim()
    marks = [mark for mark in marks if low <= where[mark[0]] <= high]
    texts = [f" {name}, {found.digits.plain(where[seed])} " for seed, name, _ in marks]
    places = [(where[seed] - low) / (high - low) for seed, *_ in marks]
    levels = arrange_labels(places, [LETTER * len(text) for text in texts])
    top = ax.get_ylim()[1]
    ax.set_ylim(0, top * (1 + 0.15 * (len(marks) + 0.6)))
    for (seed, _, colour), text, (level, side) in zip(marks, texts, levels, strict=True):
        height = top * (1.1 + 0.15 * level)
        ax.plot([where[seed]] * 2, [0, height], color=colour, linewidth=1, linestyle=":" if colour == GREEN else "-")
        ax.annotate(text, (where[seed], height), ha=side, va="center", fontsize=8, bbox=COVER)


def arrange_labels(places: Sequence[float], widths: Sequence[float]) -> list[tuple[int, str]]:
    """A level, 0 the lowest, and where it is anchored, for each label of `widths` at lines that reach up to it.

    Places and widths are shares of the axes. A label that is anchored "left" stands right of its line, and within the
    axes; it crosses no line that reaches higher. Where no order of the levels allows that, labels may cross.
    """
    for order in permutations(range(len(places))):  # from the highest: at most five
        taller: list[float] = []
        found: dict[int, tuple[int, str]] = {}
        for rank, i in enumerate(order):
            x, level = places[i], len(places) - 1 - rank
            if x + widths[i] <= min([1.0, *(other for other in taller if other > x)]):
                found[i] = level, "left"
            elif x - widths[i] >= max([0.0, *(other for other in taller if other < x)]):
                found[i] = level, "right"
            else:
                break
            taller.append(x)
        if len(found) == len(places):
            return [found[i] for i in range(len(places))]
    return [(i, "right" if place > 0.5 else "left") for i, place in enumerate(places)]


@draw_columns(share=True)
def spread_over_epochs(found: Findings, ax: Axes) -> None:
    """Standard deviation over seeds while they train, with its 95 % interval. Grey: the mean curve is flat."""
    points, std = found.points, st.bands(found.curves).std
    if found.n > 1 and np.isfinite(std).any():
        low, high = np.transpose([st.std_interval(column[~np.isnan(column)]) for column in found.curves.T])
        if np.isfinite(low).any():
            ax.fill_between(points, low, high, color=BLUE, alpha=0.25, linewidth=0, label="95 % interval")
        ax.plot(points, std, color=BLUE, marker=".", markersize=4, label="std over seeds")
        if found.flat_from < len(points) - 1:
            ax.axvspan(points[found.flat_from], points[-1], color=GREY, alpha=0.12, label="mean curve flat")
        if np.nanmax(std) > 0:
            ax.set_yscale("log")
            use_log_ticks(ax.yaxis)
        draw_legend(ax)
        use_integer_ticks(ax)
    ax.set_xlabel(found.scores.axis)
    ax.set_ylabel(with_unit(f"std of the {found.scores.metric.quantity}", found.scores.metric.difference_symbol))


@draw_columns(rows=2)
def as_seeds_are_added(found: Findings, top: Axes, below: Axes) -> None:
    """Mean, ± 1 std and extremes of the first 1, 2, 3, ... seeds; below, the std."""
    n = _thin_counts(found.n)
    band = st.running(found.scores.final).at(n - 1)
    draw_bands(top, n, band)
    draw_legend(top)
    top.set_ylabel(label(found.scores))
    below.plot(n, band.std, color=BLUE)
    if not math.isnan(found.std_interval.low):
        low, high = found.std_interval
        below.axhspan(low, high, color=BLUE, alpha=0.15, label=f"95 % interval from all {found.n:,}", linewidth=0)
        draw_legend(below)
    below.set_ylim(bottom=0)
    below.set_ylabel(with_unit("std", found.scores.metric.difference_symbol))
    below.set_xlabel("seeds, in the order of their numbers")
    for ax in (top, below):
        if found.n > 200:
            ax.set_xscale("log")
            use_log_ticks(ax.xaxis, (1,))
        else:
            use_integer_ticks(ax)
    below.set_xlim(top.get_xlim())  # there is no std of one seed


def _thin_counts(n: int) -> Array:
    """1 to n, thinned logarithmically to MANY."""
    return np.arange(1, n + 1) if n <= MANY else np.unique(np.geomspace(1, n, MANY).round().astype(int))


@draw_columns()
def sorted_scores(found: Findings, ax: Axes) -> None:
    """Every seed from the worst to the best; of accuracies with the 95 % interval (Wilson) from the finite number of
    test examples.
    """
    s, rank = found.scores, np.arange(1, found.n + 1)
    scores = s.final[s.by_score]
    if s.examples:
        low, high = (100 * side for side in st.accuracy_interval(scores / 100, s.examples))
        if found.n > 60:
            at = np.linspace(0, found.n - 1, min(found.n, MANY)).astype(int)
            ax.fill_between(
                rank[at], low[at], high[at], color=BLUE, alpha=0.2, linewidth=0, label="95 % by the test set"
            )
        else:
            error = np.abs([scores - low, high - scores])
            ax.errorbar(rank, scores, error, fmt="none", color=BLUE, alpha=0.5, label="95 % by the test set")
    ax.plot(rank, scores, ".", color="black", markersize=3, rasterized=found.n > MANY)
    ax.axhline(found.mean, color=ORANGE, linewidth=1, label="mean")
    if found.n <= 40:
        ax.set_xticks(rank, [str(seed) for seed in s.seeds[s.by_score]], fontsize="x-small", rotation=90)
        ax.set_xlabel("seed, from the worst to the best")
    else:
        ax.set_xlabel("seeds, from the worst to the best")
    ax.set_ylabel(f"final {label(s)}")
    draw_legend(ax)


@draw_columns(rows=2)
def luck(found: Findings, top: Axes, below: Axes) -> None:
    """Each seed on a random half of the test examples and on the other: a cloud without a slope means that good seeds
    do not stay good.

    Below, the gain of the best of k seeds on the half that it was chosen on and on the other.
    """
    if found.luck is None:
        return
    one, other = found.luck.one_half, found.luck.other_half
    top.plot(one, other, "o", color=BLUE, markersize=3, alpha=0.5, rasterized=found.n > MANY)
    top.set_xlabel("accuracy on a half of the test set, %")
    top.set_ylabel("on the other half, %")
    if found.luck.choices:
        k = [choice.k for choice in found.luck.choices]
        low, high = np.transpose([choice.real_interval for choice in found.luck.choices])
        below.fill_between(k, low, high, color=GREEN, alpha=0.2, linewidth=0)
        below.plot(k, [choice.apparent for choice in found.luck.choices], "--", color=ORANGE, label="in appearance")
        below.plot(k, [choice.real for choice in found.luck.choices], color=GREEN, label="on new examples, 95 %")
        below.set_xscale("log")
        below.set_xticks(k, [str(choice) for choice in k])
        below.minorticks_off()
        below.axhline(0, color="black", linewidth=0.8)
        draw_legend(below)
    below.set_xlabel("best of so many seeds")
    below.set_ylabel("points above the mean")


def spreads(several: Sequence[Findings]) -> Figure:
    """Standard deviation over seeds of each study; orange: a probe on a pretrained backbone."""
    rows = [
        (f"{found.name}\n{found.n:,} seeds", found.std, found.std_interval, ORANGE if found.pretrained else BLUE)
        for found in several
    ]
    metric = several[0].scores.metric
    unit = f", {metric.difference_symbol}" if metric.difference_symbol else ""
    return draw_dots(rows, f"std of the {metric.quantity} over seeds{unit}, with its 95 % interval")


@mpl.rc_context(STYLE)
def arms_figure(several: Sequence[Arm], metric: Metric) -> Figure:
    """Scores of every arm, the baseline first, with their density, and above them the mean with its 95 % interval."""
    fig = _draw_arms(several, metric, [GREY, *[BLUE] * (len(several) - 1)])
    write_title(fig.axes[0], "each seed, density, and the mean with its 95 % interval")
    return fig


@mpl.rc_context(STYLE)
def reference_figure(several: Sequence[Arm], metric: Metric, number: float, std: float, name: str) -> Figure:
    """Scores of every arm with the mean's 95 % interval, beside a published mean ± std; 90 % beside a target, std 0."""
    level = 0.95 if std else 0.9
    fig = _draw_arms(several, metric, [BLUE] * len(several), level)
    ax = fig.axes[0]
    if std:
        ax.axvspan(number - std, number + std, color=GREY, alpha=0.15, linewidth=0)
    ax.axvline(number, color="black", linestyle="--", linewidth=1.2)
    write_title(ax, f"each seed, the mean with its {100 * level:.0f} % interval, and {name}")
    return fig


def _draw_arms(several: Sequence[Arm], metric: Metric, colours: Sequence[str], level: float = 0.95) -> Figure:
    fig = Figure(figsize=(COLUMN, 0.9 + 0.85 * len(several)), layout="constrained")
    ax = fig.subplots()
    for row, (arm, colour) in enumerate(zip(several, colours, strict=True)):
        if arm.n >= 5 and not st.is_constant(arm.scores):
            x = np.linspace(arm.scores.min(), arm.scores.max(), 300)
            density = stats.gaussian_kde(arm.scores)(x)
            ax.fill_between(x, row, row - 0.55 * density / density.max(), color=colour, alpha=0.3, linewidth=0)
        ax.plot(arm.scores, [row] * arm.n, "|", color=colour, markersize=8, rasterized=arm.n > MANY)
        interval = st.mean_interval(arm.scores, level)
        ax.plot(interval, [row + 0.22] * 2, color=ORANGE, linewidth=2)
        ax.plot([arm.scores.mean()], [row + 0.22], "o", color=ORANGE, markersize=4)
    collapsed = [f"\n{arm.collapsed:,} more collapsed" if arm.collapsed else "" for arm in several]
    labels = [wrap_label(f"{a.name}\n{a.n:,} seeds{more}", 18) for a, more in zip(several, collapsed, strict=True)]
    ax.set_yticks(range(len(several)), labels)
    ax.set_ylim(len(several) - 0.5, -0.75)
    study = next((arm.study for arm in several if arm.study), None)
    ax.set_xlabel(f"final {label(study)}" if study else metric.name)
    return fig


@draw_columns()
def gradient_norms(found: Findings, ax: Axes) -> None:
    """Gradient norm over the steps of each epoch, before clipping: largest and 90th percentile, medians over seeds with
    the range of seeds.
    """
    largest, high = (found.scores.complete_curves(f"grad_norm/{kind}") for kind in ("max", "p90"))
    if not len(largest):
        return
    points, _ = found.scores.logged("grad_norm/max")
    for curves, colour, name in ((largest, ORANGE, "largest"), (high, BLUE, "90th percentile")):
        low, high_end = np.nanmin(curves, axis=0), np.nanmax(curves, axis=0)
        ax.fill_between(points, low, high_end, color=colour, alpha=0.2, linewidth=0)
        ax.plot(points, np.nanmedian(curves, axis=0), color=colour, marker=".", markersize=4, label=name)
    if clip := found.scores.study.config["trainer"].get("gradient_clip_val"):
        ax.axhline(clip, color="black", linestyle="--", linewidth=1, label="clipped to")
    if np.nanmin(largest) > 0 and np.nanmin(high) > 0:
        ax.set_yscale("log")
        use_log_ticks(ax.yaxis)
    ax.set_xlabel(found.scores.axis)
    ax.set_ylabel("gradient norm")
    use_integer_ticks(ax)
    draw_legend(ax)


@draw_columns()
def validation_and_test(found: Findings, ax: Axes) -> None:
    """Each seed on the validation data and on the test set, which was scored once, at the end. Orange: the best seed by
    validation.
    """
    if found.test is None:
        return
    validation, test = pair_scores(found.scores, found.test)
    ax.plot(validation, test, "o", color=BLUE, markersize=3, alpha=0.5, rasterized=found.n > MANY)
    best = (found.scores.metric.sign * validation).argmax()
    ax.plot([validation[best]], [test[best]], "o", color=ORANGE, markersize=5, label="best by validation")
    ax.set_xlabel(f"final {label(found.scores)}")
    ax.set_ylabel(f"final {label(found.test)}")
    draw_legend(ax)


FIGURES = {
    draw.__name__: draw
    for draw in (
        learning_curves,
        histogram,
        spread_over_epochs,
        as_seeds_are_added,
        sorted_scores,
        luck,
        validation_and_test,
        losses,
        gradient_norms,
    )
}
NEED_SEVERAL_SEEDS = ("spread_over_epochs", "as_seeds_are_added")


def draw_figures(several: Sequence[Findings], folder: Path, only: str | None = None) -> dict[str, str]:
    """Draw all figures of these studies, or `only` one, as PNG and SVG into `folder`; return captions by name."""
    figures = FIGURES | ({"spreads": spreads} if len(several) > 1 else {})
    if all(found.n < 2 for found in several):
        for name in NEED_SEVERAL_SEEDS:
            del figures[name]
    undrawn = {
        "learning_curves": not any(len(found.points) for found in several),
        "spread_over_epochs": not any(len(found.points) for found in several),
        "luck": all(found.luck is None for found in several),
        "validation_and_test": all(found.test is None for found in several),
        "losses": not any(len(found.scores.logged(name)[0]) for found in several for name in LOSSES),
        "gradient_norms": not any(len(found.scores.complete_curves("grad_norm/max")) for found in several),
    }
    figures = {name: figure for name, figure in figures.items() if not undrawn.get(name)}
    if only is not None:
        figures = {name: figure for name, figure in figures.items() if name == only}
    return save_figures(figures, several, folder)
