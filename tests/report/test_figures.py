"""Figures of a study."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies

from seedspread.report import figures
from seedspread.report.drawing import COLUMN
from seedspread.report.figures import MOST_BINS, arrange_labels, bin_edges
from tests.synthetic import add_seed, found_in


def test_a_single_epoch_is_drawn_as_a_block_within_its_axes(make_study):
    study = make_study([])
    for seed, accuracy in enumerate((0.7, 0.8, 0.9)):
        add_seed(study, seed, accuracy, epochs=1)
    for ax in figures.learning_curves([found_in(study)]).axes:
        (left, right), bands = ax.get_xlim(), ax.collections
        assert len(bands) == 2 and all(band.get_paths()[0].get_extents().width > 0 for band in bands)
        assert [tick for tick in ax.get_xticks() if left <= tick <= right] == [1]


@pytest.mark.parametrize("seeds", [3, 10, 30, 385, 2_000, 10_000])
@pytest.mark.parametrize("examples", [100, 500, 10_000])
@pytest.mark.parametrize("known", [True, False])
def test_every_bin_holds_as_many_possible_accuracies(seeds, examples, known):
    rng = np.random.default_rng(seeds)
    scores = np.round(100 * rng.binomial(examples, rng.normal(0.9, 0.01, seeds)) / examples, 10)
    edges, step = bin_edges(scores, 100 / examples if known else 0.0), 100 / examples
    assert edges[0] < scores.min() <= scores.max() < edges[-1] and len(edges) <= MOST_BINS + 1
    if not known and len(set(scores)) == len(scores):
        return  # nothing says that these come in steps
    width = (edges[1] - edges[0]) / step
    assert width == pytest.approx(round(width), abs=1e-6)
    beyond = (edges - step / 2 - scores.min()) / step  # edges lie half-way between two possible scores
    assert np.abs(beyond - np.round(beyond)).max() < 1e-6
    empty = (scores.min() - edges[0]) / step + (edges[-1] - scores.max()) / step
    assert empty < width + 1  # no bin at an end is empty
    if seeds >= 385 and examples == 10_000:  # as many bins as seeds bear
        assert 0.5 < (edges[1] - edges[0]) / (2 * 1.35 * scores.std() / np.cbrt(seeds)) < 2


@pytest.mark.parametrize("scores", [[80.0] * 5, [0.0, 0.0], [80.0, *[99.9] * 500], [1e-9, 2e-9, 5e-9], [-3.0]])
def test_odd_scores_have_bins(scores):
    scores = np.array(scores)
    edges = bin_edges(scores, 0.0)
    assert (np.diff(edges) > 0).all() and edges[0] <= scores.min() and scores.max() <= edges[-1]
    assert np.histogram(scores, edges)[0].sum() == len(scores)


def is_free(arranged, places, width):
    """Whether each label lies within the axes and is crossed by no line that reaches higher."""
    for (level, side), x in zip(arranged, places, strict=True):
        low, high = (x, x + width) if side == "left" else (x - width, x)
        taller = [other for (height, _), other in zip(arranged, places, strict=True) if height > level]
        if low < -1e-9 or high > 1 + 1e-9 or any(low < other < high for other in taller):
            return False
    return True


def list_arrangements(n):
    for levels in permutations(range(n)):
        for sides in product(("left", "right"), repeat=n):
            yield list(zip(levels, sides, strict=True))


@settings(max_examples=200)
@given(strategies.floats(0.02, 0.2), strategies.floats(0.8, 0.98), *[strategies.floats(0.3, 0.7)] * 2)
@example(0.125, 0.8046875, 0.5625, 0.34375)  # nothing is free of crossings
def test_labels_of_seeds_are_crossed_by_no_line_where_that_is_possible(worst, best, one, other):
    places, width = (worst, best, one, other), 0.25
    arranged = arrange_labels(places, [width] * len(places))
    assert sorted(level for level, _ in arranged) == list(range(len(places)))
    possible = any(is_free(each, places, width) for each in list_arrangements(len(places)))
    assert is_free(arranged, places, width) == possible


def test_the_labels_of_a_histogram_do_not_touch(make_study):
    """Worst, best and two well-known seeds, close to one another."""
    rng = np.random.default_rng(0)
    fig = figures.histogram([found_in(make_study(rng.normal(0.8, 0.02, 60)))])
    fig.draw_without_rendering()
    ax = fig.axes[0]
    boxes = [text.get_window_extent() for text in ax.texts]
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] == line.get_xdata()[1]]
    assert len(boxes) == len(lines) == 4
    for i, box in enumerate(boxes):
        assert ax.bbox.x0 <= box.x0 and box.x1 <= fig.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
        for line in lines:
            x, top = ax.transData.transform((line.get_xdata()[0], max(line.get_ydata())))
            assert not (box.x0 < x < box.x1 and top > box.y0) or abs(top - (box.y0 + box.y1) / 2) < 1


def test_few_seeds_are_dots_that_stand_on_one_another(make_study):
    fig = figures.histogram([found_in(make_study([0.8, 0.8, 0.8, 0.9]))])
    heights = fig.axes[0].lines[0].get_ydata()
    assert sorted(heights) == [1, 1, 2, 3] and not fig.axes[0].patches


def test_titles_and_legends_fit_above_their_axes(make_study):
    name = "a_rather_long_name_of_a_study_with_many_words"
    found = found_in(make_study(np.random.default_rng(1).normal(0.8, 0.02, 30), name))
    for draw in (figures.learning_curves, figures.histogram, figures.spread_over_epochs, figures.as_seeds_are_added):
        fig = draw([found])
        fig.draw_without_rendering()
        ax = fig.axes[0]
        legend, title = ax.get_legend().get_window_extent(), ax._left_title.get_window_extent()
        assert title.y0 >= legend.y1 - 1 and title.x1 <= fig.bbox.x1 and title.y1 <= fig.bbox.y1
        assert legend.x1 <= fig.bbox.x1 and fig.get_figwidth() == COLUMN
