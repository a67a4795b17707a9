"""The figures of a search. The docstring of each is its caption on the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedspread import statistics as st
from seedspread.decide.decision import Contest
from seedspread.report.decision_page import draw_decision
from seedspread.report.drawing import (
    BLUE,
    COLUMN,
    GREEN,
    GREY,
    ORANGE,
    ROW,
    Drawing,
    legend_columns,
    save_figures,
    use_integer_ticks,
    use_log_ticks,
)
from seedspread.report.figures import LOSSES, arms_figure
from seedspread.report.labels import label, with_unit
from seedspread.search.results import SearchResults
from seedspread.search.space import Hyperparameter
from seedspread.search.trials import Trial

COLOURS = (BLUE, ORANGE, GREEN)
SEARCHES = {"explore": BLUE, "exploit": ORANGE}
LABELS = {"explore": "explored", "exploit": "exploited"}
DOTS: Any = {"marker": "o", "linestyle": "", "markersize": 4, "alpha": 0.7}


def _axis(ax: Axes, h: Hyperparameter, limits: tuple[float, float]) -> None:
    if h.scale == "choice":
        ax.set_xticks(range(len(h.range)), [str(value) for value in h.range])
        ax.set_xlim(-0.5, len(h.range) - 0.5)
    else:
        ax.set_xscale(h.scale)
        if h.scale == "log":
            decades = math.log10(h.range[1] / h.range[0])
            subs = (1, 2, 5) if decades < 1.7 else (1, 3) if decades < 3 else (1,)  # as many labels as fit
            use_log_ticks(ax.xaxis, subs)
    ax.set_ylim(limits)
    ax.set_xlabel(h.key)


def _points(ax: Axes, h: Hyperparameter, trials: Sequence[Trial], **style: Any) -> None:
    """Draw trials along one hyperparameter, without choices that the space no longer has."""
    shown = [trial for trial in trials if h.scale != "choice" or h.contains(trial.point[h.key])]
    if shown:
        ax.plot([_x(h, trial) for trial in shown], [trial.score for trial in shown], **style)


def _x(h: Hyperparameter, trial: Trial) -> float:
    value = trial.point[h.key]
    return h.range.index(value) if h.scale == "choice" else value


def _limits(t: SearchResults) -> tuple[float, float]:
    """The range of scores to draw: the better half, and the poorer ones that lie near it."""
    scores = np.array([trial.score for trial in t.finished])
    if t.judgement:
        scores = np.append(scores, [again.mean() for again in t.judgement.again])
    better = t.metric.sign * scores
    least = 0.5 if t.metric.symbol == "%" else 1e-3 * np.abs(scores).max() or 1.0
    best, middle = better.max(), np.median(better)
    poor = max(better.min(), best - 3 * max(best - middle, least))
    room = 0.06 * max(best - poor, least)
    low, high = sorted((t.metric.sign * (poor - room), t.metric.sign * (best + room)))
    return float(low), float(high)


def _baseline(ax: Axes, t: SearchResults) -> None:
    if j := t.judgement:
        ax.axhline(j.again[0].mean(), color="black", linewidth=1, linestyle="--", label="baseline, fresh seeds")


def scores_figure(t: SearchResults) -> Figure:
    """Every trial against each hyperparameter; trials far poorer than the others lie on the edge."""
    fig, panels = _grid(t, len(t.space.hyperparameters))
    low, high = _limits(t)
    edge, marker = (low, "v") if t.metric.sign > 0 else (high, "^")
    poorer = [replace(trial, scores={0: edge}) for trial in t.finished if not low <= trial.score <= high]
    diverged = [replace(trial, scores={0: edge}) for trial in t.diverged]
    for ax, h in zip(panels, t.space.hyperparameters, strict=True):
        for search, colour in SEARCHES.items():
            chosen = [trial for trial in t.finished if trial.search == search and low <= trial.score <= high]
            _points(ax, h, chosen, **DOTS, color=colour, label=LABELS[search])
        _points(ax, h, poorer, marker=marker, linestyle="", color=GREY, markersize=5, clip_on=False, label="poorer")
        _points(ax, h, diverged, marker="x", linestyle="", color="black", markersize=5, clip_on=False, label="diverged")
        _points(ax, h, [t.best], marker="o", fillstyle="none", linestyle="", color="black", markersize=9, label="best")
        _baseline(ax, t)
        _axis(ax, h, (low, high))
        ax.set_xlabel(f"{h.key} ({h.role})")
    _legend_above(fig, panels[0])
    return fig


def _score_label(t: SearchResults) -> str:
    return with_unit(f"{t.metric.quantity}, mean over seeds", t.metric.symbol)


def _grid(t: SearchResults, n: int) -> tuple[Figure, list[Axes]]:
    columns = min(n, 2)
    fig = Figure(figsize=(max(0.4 + 2.4 * columns, COLUMN), 0.5 + 2.2 * math.ceil(n / columns)), layout="constrained")
    axes = fig.subplots(math.ceil(n / columns), columns, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.remove()
    for ax in axes[:n:columns]:
        ax.set_ylabel(_score_label(t))
    return fig, list(axes[:n])


def _legend_above(fig: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        fig.legend(handles, labels, loc="outside upper left", ncols=legend_columns(labels), columnspacing=1.0)


def isolation(t: SearchResults) -> Figure:
    """Each scientific hyperparameter with the nuisance ones tuned: every trial (grey) and the best in each part of the
    range (blue, ± 1 standard error over seeds).

    The best of more trials looks better.
    """
    scientific = t.space.of_role("scientific")
    low, high = _limits(t)
    noise = 0.0 if math.isnan(t.noise) else t.noise
    room = noise / math.sqrt(len(t.best.scores))
    fig, panels = _grid(t, len(scientific))
    for ax, h in zip(panels, scientific, strict=True):
        _points(ax, h, t.finished, **DOTS, color=GREY, label="a trial")
        for i, (start, end, best) in enumerate(t.best_by(h)):
            label = "best over the nuisance ones" if i == 0 else None
            error = noise / math.sqrt(len(best.scores))
            ax.errorbar([_x(h, best)], [best.score], [error], fmt="o", color=BLUE, capsize=3, label=label)
            if h.scale != "choice":
                ax.plot([h.number_at(start), h.number_at(end)], [best.score] * 2, color=BLUE, linewidth=2, alpha=0.5)
        _baseline(ax, t)
        _axis(ax, h, (low - room / 2, high + room))
    _legend_above(fig, panels[0])
    return fig


def best_so_far(t: SearchResults) -> Figure:
    """The best score against the number of trials."""
    fig = Figure(figsize=(COLUMN, ROW * 1.1), layout="constrained")
    ax = fig.subplots()
    low, high = _limits(t)
    n = np.arange(1, len(t.trials) + 1)
    found = np.array([trial.score for trial in t.trials])
    best = np.fmax.accumulate(np.where(np.isnan(found), -np.inf, t.metric.sign * found))
    ax.step(n, np.where(np.isinf(best), np.nan, t.metric.sign * best), where="post", color="black", label="best so far")
    for search, colour in SEARCHES.items():
        if at := [i for i, trial in enumerate(t.trials) if trial.search == search and low <= trial.score <= high]:
            ax.plot(n[at], found[at], **DOTS, color=colour, label=LABELS[search])
    _baseline(ax, t)
    ax.set_ylim(low, high)
    ax.set_xlabel("trials")
    ax.set_ylabel(_score_label(t))
    use_integer_ticks(ax)
    _legend_above(fig, ax)
    return fig


def curves_figure(t: SearchResults) -> Figure:
    """The best trials: mean over seeds (line), minimum to maximum (band)."""
    names = dict.fromkeys((t.metric.name, *LOSSES))
    shown = [name for name in names if any(len(s.logged(name)[0]) for s in t.curves)]
    fig = Figure(figsize=(COLUMN, 0.3 + 0.85 * ROW * max(1, len(shown))), layout="constrained")
    panels = fig.subplots(max(1, len(shown)), 1, squeeze=False)[:, 0]
    for ax, name in zip(panels, shown, strict=False):
        for s, colour in zip(t.curves, COLOURS, strict=False):
            points, curves = s.logged(name)
            if not len(points):
                continue
            band = st.bands(curves)
            ax.plot(points, band.mean, color=colour, marker="." if len(points) < 30 else "", label=s.name)
            ax.fill_between(points, band.min, band.max, color=colour, alpha=0.15, linewidth=0)
        ax.set_ylabel(label(t.curves[0], name))
        use_integer_ticks(ax)
    panels[-1].set_xlabel(t.curves[0].axis)
    _legend_above(fig, panels[0])
    return fig


def importance_figure(t: SearchResults) -> Figure:
    """The share of the variance of all scores that each hyperparameter explains (fANOVA).

    Poor regions count too: within a good region the order may differ.
    """
    shares = dict(sorted(t.importance.items(), key=lambda item: item[1]))
    fig = Figure(figsize=(COLUMN, 0.8 + 0.35 * len(shares)), layout="constrained")
    ax = fig.subplots()
    ax.barh(list(shares), list(shares.values()), color=BLUE, alpha=0.7)
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of the variance of scores")
    return fig


def fresh_seeds_figure(t: SearchResults) -> Figure:
    """The winner and the baseline on the same fresh seeds."""
    assert t.judgement is not None
    return arms_figure(t.judgement.arms, t.metric)


def decision_figure(t: SearchResults) -> Figure:
    """The mean difference of the fresh seeds, winner minus baseline, pair by pair, and its always-valid interval."""
    assert t.judgement is not None
    return draw_decision([Contest([t.judgement.decision], t.judgement.decision)])


FIGURES: Mapping[str, Drawing[SearchResults]] = {
    "scores": scores_figure,
    "best_so_far": best_so_far,
    "isolation": isolation,
    "curves": curves_figure,
    "importance": importance_figure,
    "fresh_seeds": fresh_seeds_figure,
    "decision": decision_figure,
}


def draw_search_figures(t: SearchResults, folder: Path) -> dict[str, str]:
    """Draw the figures that apply, as PNG and SVG, into `folder`; return captions by name."""
    undrawn = {
        "isolation": not t.space.of_role("scientific"),
        "importance": len(t.importance) < 2,
        "fresh_seeds": t.judgement is None,
        "decision": t.judgement is None,
    }
    figures = {name: figure for name, figure in FIGURES.items() if not undrawn.get(name)}
    return save_figures(figures, t, folder)
