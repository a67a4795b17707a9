"""Figures of agreement: the map of seeds, and the test pictures on which seeds disagree most."""

import math
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seedspread.report.agreement import Agreement, SeedMap
from seedspread.report.agreement_words import given_labels
from seedspread.report.drawing import (
    BLUE,
    COLUMN,
    GREEN,
    GREY,
    LEGEND_ROW,
    MANY,
    ORANGE,
    Drawing,
    draw_legend,
    escape_math,
    legend_rows,
    save_figures,
    write_title,
)
from seedspread.statistics import Array

NUMBERED = 60  # seeds whose numbers stand in a map
ACROSS = 4  # pictures in a row
PICTURED = 5.3  # inches
CELL = 96  # pixels of a picture's side
PICTURES = "unstable_examples"
LONGEST = 14  # letters of a label: more would touch the next picture's


class Drawn(NamedTuple):
    """What figures are drawn of: one study or several, and their common map."""

    several: Sequence[Agreement]
    seeds: SeedMap | None


def seed_map(drawn: Drawn) -> Figure:
    """A map of seeds: the squared distance of two seeds stands for their churn, as far as a plane can show it."""
    fig = Figure(figsize=(COLUMN, COLUMN * 0.9))
    if (seeds := drawn.seeds) is None:
        return fig
    groups = _groups(seeds)
    head = 20 + LEGEND_ROW * (legend_rows([name for name, _ in groups]) if len(groups) > 1 else 0)
    ax = fig.add_axes((0.15, 0.12, 0.83, 0.88 - head / 72 / fig.get_figheight()))
    for (name, _), places, colour in zip(groups, _split(seeds), _colours(seeds), strict=True):
        ax.plot(*places.T, "o", color=colour, markersize=4, alpha=0.6, rasterized=len(places) > MANY, label=name)
    ax.set_aspect("equal", "datalim")
    if len(seeds.seeds) <= NUMBERED:
        _number(ax, seeds)
    if len(groups) > 1:
        draw_legend(ax)
    for axis, share, which in zip((ax.xaxis, ax.yaxis), seeds.shares, ("first", "second"), strict=True):
        axis.set_label_text(f"{which} axis: {100 * share:.0f} % of all differences")
    thinned = f", {len(seeds.seeds):,} drawn at random" if len(seeds.seeds) < seeds.total else ""
    write_title(ax, f"{seeds.total:,} seeds{thinned}")
    return fig


def _number(ax: Axes, seeds: SeedMap) -> None:
    """Write their numbers beside seeds, from the outer ones to the inner, where they cover no seed and no number."""
    ax.apply_aspect()
    dots = 72 / ax.figure.dpi * ax.transData.transform(seeds.places)  # in points
    taken = [(x - 2, y - 2, x + 2, y + 2) for x, y in dots.tolist()]
    order = np.argsort(-np.square(seeds.places - seeds.places.mean(axis=0)).sum(axis=1), kind="stable")
    numbers = np.concatenate([numbers for _, numbers in seeds.groups])
    for i in order.tolist():
        text = str(numbers[i])
        box = dots[i, 0] + 2.5, dots[i, 1] + 1, dots[i, 0] + 3 + 4.6 * len(text), dots[i, 1] + 8
        if not any(box[0] < x1 and x0 < box[2] and box[1] < y1 and y0 < box[3] for x0, y0, x1, y1 in taken):
            taken.append(box)
            place = tuple(seeds.places[i])
            ax.annotate(text, place, (2.5, 1.5), textcoords="offset points", fontsize=7, color=GREY)


def _groups(seeds: SeedMap) -> list[tuple[str, Array]]:
    """Studies, or the two families of one, with their seeds."""
    if seeds.families is None or not seeds.is_split:
        return [(escape_math(name), numbers) for name, numbers in seeds.groups]
    second = seeds.families.second
    return [("one family", seeds.seeds[~second]), ("the other", seeds.seeds[second])]


def _split(seeds: SeedMap) -> list[Array]:
    """The places of each group's seeds."""
    if seeds.families is not None and seeds.is_split:
        return [seeds.places[~seeds.families.second], seeds.places[seeds.families.second]]
    ends = np.cumsum([len(numbers) for _, numbers in seeds.groups])[:-1]
    return np.split(seeds.places, ends)


def _colours(seeds: SeedMap) -> list[str]:
    colours = (BLUE, ORANGE, GREEN, GREY)
    return [colours[i % len(colours)] for i in range(len(_groups(seeds)))]


def unstable_examples(drawn: Drawn) -> Figure:
    """The test pictures on which seeds disagree most, the worst first: the true label, and below it the labels that
    seeds gave and how often.
    """
    found = drawn.several[0]
    pictures = [] if found.pictures is None else found.pictures.pictures
    rows = math.ceil(len(pictures) / ACROSS)
    height, width = CELL * 1.95, CELL * 1.5
    fig = Figure(figsize=(PICTURED, PICTURED * rows * height / (ACROSS * width)))
    ax = fig.add_axes((0, 0, 1, 1))  # a layout to be found takes half a second
    # One image of all pictures: axes of their own take a second.
    canvas = np.full((round(rows * height), round(ACROSS * width), 3), 255, np.uint8)
    for i, (picture, example) in enumerate(zip(pictures, found.unstable.tolist(), strict=True)):
        top, left = round(i // ACROSS * height), round(i % ACROSS * width)
        if picture is not None:
            shown = _enlarge(picture)
            canvas[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
        true = "" if found.truth is None else escape_math(_name(found, int(found.truth[example])))
        ax.text(left, top + CELL + 3, true and f"true: {true}", va="top", fontsize=7.5, fontweight="bold")
        shares = ((k, 100 * count / len(found.seeds)) for k, count in given_labels(found, example))
        given = escape_math("\n".join(f"{_name(found, k)}: {share:.0f} %" for k, share in shares))
        ax.text(left, top + CELL + 19, given, va="top", fontsize=7.5, color=GREY, linespacing=1.1)
    ax.imshow(canvas, interpolation="nearest")
    ax.set_axis_off()
    return fig


def _enlarge(picture: Array) -> Array:
    """A picture in a cell: pixels repeated, or left out where it is larger."""
    height, width = picture.shape[:2]
    side = max(height, width)
    at = [np.arange(round(CELL * length / side)) * length // round(CELL * length / side) for length in (height, width)]
    return picture[at[0]][:, at[1]]


def _name(found: Agreement, label: int) -> str:
    name = found.class_names[label]
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def reliability(drawn: Drawn) -> Figure:
    """Accuracy by confidence, in bins of equal width: calibrated seeds lie on the grey line, overconfident seeds
    below it. Dots are of all seeds together; the band is ± 1 std over seeds, drawn where half of them have at least ten
    examples in a bin. Below, the share of examples in each bin.
    """
    known = [found for found in drawn.several if found.calibration is not None]
    head = 20 + LEGEND_ROW * len(known)
    fig = Figure(figsize=(COLUMN, COLUMN * 0.95))
    top = 0.64 - head / 72 / fig.get_figheight()
    ax, below = fig.add_axes((0.14, 0.36, 0.84, top)), fig.add_axes((0.14, 0.12, 0.84, 0.2))
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle="--")
    for i, (found, colour) in enumerate(zip(known, cycle((BLUE, ORANGE, GREEN, GREY)), strict=False)):
        assert found.calibration is not None
        curve = found.calibration.reliability
        many = f"{escape_math(found.name)}, {len(found.calibration.seeds):,} seeds"
        ax.plot(100 * curve.confidence, 100 * curve.accuracy, "o-", color=colour, markersize=3, linewidth=1, label=many)
        low, high = curve.accuracy - curve.std, curve.accuracy + curve.std
        ax.fill_between(100 * curve.confidence, 100 * low, 100 * high, color=colour, alpha=0.25, linewidth=0)
        edges = np.linspace(0, 100, len(curve.share) + 1)
        width = edges[1] / (len(known) + 0.5)
        below.bar(edges[:-1] + (i + 0.25) * width, 100 * curve.share, width, align="edge", color=colour, alpha=0.7)
    draw_legend(ax)
    ax.set(xlim=(0, 100), ylim=(0, 100), ylabel="accuracy, %", xticklabels=[])
    below.set(xlim=(0, 100), xlabel="confidence of the predicted label, %", ylabel="examples, %")
    return fig


def draw_agreement(several: Sequence[Agreement], folder: Path) -> dict[str, str]:
    """Draw what there is to see of one study, or of several with the same test examples; return captions by name."""
    alike = not any(several[0].cannot_compare(other) for other in several[1:])
    seeds = None
    if several:
        seeds = several[0].map if len(several) == 1 else SeedMap.of(several) if alike else None
    figures: dict[str, Drawing[Drawn]] = {"seed_map": seed_map} if seeds is not None else {}
    if any(found.calibration is not None for found in several):
        figures["reliability"] = reliability
    if len(several) == 1 and several[0].pictures is not None:
        figures[PICTURES] = unstable_examples
    return save_figures(figures, Drawn(several, seeds), folder)
