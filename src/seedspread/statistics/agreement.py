"""Do seeds agree on test examples? Churn, confusions, and a map of seeds.

Shapes: labels (S, N), uint8 or uint16, what each of S seeds predicted for each of N test examples, all below K;
counts (N, K), how many seeds gave each label, from `label_counts`; truth (N,), the true labels. Everything goes by
blocks of examples: 10,000 seeds on 10,000 examples are 100 MB of labels, and little is added to that.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import linalg, special

from seedspread.statistics.examples import independent_example_variance
from seedspread.statistics.spread import UNKNOWN, Array, Interval, sample_std

BLOCK = 4_000_000  # labels at a time
MAPPED = 2_000  # seeds in a map at most: its matrix takes their square


def label_counts(labels: Array, classes: int) -> Array:
    """How many seeds gave each example each label: (N, K), in O(S·N)."""
    counts = np.empty((labels.shape[1], classes), np.min_scalar_type(len(labels)))
    for block, places in _places(labels, classes):
        found = np.bincount(places.ravel(), minlength=classes * (block.stop - block.start))
        counts[block] = found.reshape(-1, classes)
    return counts


def _places(labels: Array, classes: int) -> Iterator[tuple[slice, Array]]:
    """Blocks of examples, and in which place of the block's counts, flattened, each label is counted (S, B)."""
    width = max(1, BLOCK // len(labels))
    for start in range(0, labels.shape[1], width):
        part = labels[:, start : start + width]
        yield slice(start, start + part.shape[1]), part + classes * np.arange(part.shape[1])


def _matches(labels: Array, counts: Array) -> Array:
    """Of each seed in how many pairs (seed counted in `counts`, example) its label is the same (S,)."""
    total = np.zeros(len(labels), np.int64)
    for block, places in _places(labels, counts.shape[1]):
        total += counts[block].ravel()[places].sum(axis=1, dtype=np.int64)
    return total


class Churn(NamedTuple):
    """The share of test examples on which two seeds give different labels, averaged over all pairs of seeds.

    `by_seed` (S,) and `by_example` (N,) are the means over the pairs of each seed and of each example; between two
    studies the seeds of one come first, then those of the other. The variances are nan where there are too few seeds.
    """

    value: float
    interval: Interval
    by_seed: tuple[Array, ...]
    by_example: Array
    seeds_variance: float  # of `value`
    shared: float  # interaction of seeds and examples, which the variances over both contain


def churn(labels: Array, counts: Array, level: float = 0.95) -> Churn:
    """Churn over all pairs of seeds, exactly, in O(S·N): 1 - Σ_k c_k(c_k - 1) / (S(S-1)), averaged over examples.

    Milani Fard et al. 2016 ("Launch and iterate: reducing prediction churn"); over all pairs of runs as in
    Bhojanapalli et al. 2021 (arXiv 2102.03349). The interval is for other seeds and other test examples: see
    `_churn_interval`. The variance over seeds is the jackknife's of a mean over pairs (Arvesen 1969, "Jackknifing
    U-statistics"). nan for one seed; an unknown interval for two.
    """
    seeds, examples = labels.shape
    if seeds < 2:
        return Churn(math.nan, UNKNOWN, (np.full(seeds, math.nan),), np.full(examples, math.nan), math.nan, math.nan)
    by_example = example_churn(counts, seeds)
    value = float(by_example.mean())
    by_seed = 1 - (_matches(labels, counts) - examples) / (examples * (seeds - 1))
    variance = shared = math.nan
    if seeds > 2:
        scale = _jackknife_scale(seeds)
        variance = scale * float(((by_seed - value) ** 2).sum())
        # Two-way analysis of variance of h, the churn of a seed with the others on an example.
        squares = sum(float((c * ((seeds - c) / (seeds - 1)) ** 2).sum()) for c in _as_floats(counts))
        rest = squares - seeds * examples * value**2
        rest -= examples * float(((by_seed - value) ** 2).sum()) + seeds * float(((by_example - value) ** 2).sum())
        interaction = max(0.0, rest) / ((seeds - 1) * max(1, examples - 1))
        shared = scale * (seeds - 1) * interaction / examples
    return _churn_of(value, (by_seed,), by_example, variance, shared, level)


def _jackknife_scale(seeds: int) -> float:
    """By which the squared effects of seeds on a mean over their pairs are summed to its variance."""
    return 4 * (seeds - 1) / (seeds * (seeds - 2) ** 2)


def example_churn(counts: Array, seeds: int) -> Array:
    """The share of pairs of seeds that give an example different labels (N,)."""
    same = np.concatenate([(c * (c - 1)).sum(axis=1) for c in _as_floats(counts)])
    return 1 - same / (seeds * (seeds - 1))


def _as_floats(counts: Array) -> Iterator[Array]:
    rows = max(1, BLOCK // counts.shape[1])
    return (counts[start : start + rows].astype(float) for start in range(0, len(counts), rows))


def churn_between(labels: Array, counts: Array, others: Array, their_counts: Array, level: float = 0.95) -> Churn:
    """Churn over all pairs of a seed of one study and a seed of another, on the same examples.

    As `churn`; the variance over seeds is the sum of those over the seeds of either study.
    """
    (seeds, examples), theirs = labels.shape, len(others)
    same = [(a * b).sum(axis=1) for a, b in zip(_as_floats(counts), _as_floats(their_counts), strict=True)]
    by_example = 1 - np.concatenate(same) / (seeds * theirs)
    by_seed = (
        1 - _matches(labels, their_counts) / (examples * theirs),
        1 - _matches(others, counts) / (examples * seeds),
    )
    variance = sum(float(each.var(ddof=1)) / len(each) if len(each) > 1 else math.nan for each in by_seed)
    # Of a seed on an example this churn is 0 to 1: its whole variance bounds the interaction, which is not taken out.
    return _churn_of(float(by_example.mean()), by_seed, by_example, variance, 0.0, level)


def _churn_of(
    value: float, by_seed: tuple[Array, ...], by_example: Array, variance: float, shared: float, level: float
) -> Churn:
    interval = _churn_interval(value, by_seed, by_example, variance, shared, level)
    return Churn(value, interval, by_seed, by_example, variance, shared)


def total_error(
    seeds_variance: float, fewest: int, examples_variance: float, examples: int, shared: float
) -> tuple[float, float]:
    """Standard error by seeds and examples together, and its degrees of freedom (Satterthwaite 1946).

    What both variances contain, the interaction, is counted once; nothing is taken below either of them.
    """
    total = max(seeds_variance + examples_variance - shared, seeds_variance, examples_variance)
    parts = seeds_variance**2 / max(1, fewest - 1) + examples_variance**2 / max(1, examples - 1)
    return math.sqrt(total), total**2 / parts if parts else math.inf


def _churn_interval(
    value: float, by_seed: tuple[Array, ...], by_example: Array, variance: float, shared: float, level: float
) -> Interval:
    """Student's interval on the scale of logits, as churn is a share; between 0 and 1.

    Both the seeds and the test examples are samples: the variance is the jackknife's over seeds plus the jackknife's
    over examples, which of a mean over examples is their variance divided by N.
    """
    n = len(by_example)
    if math.isnan(variance) or n < 2:
        return UNKNOWN
    fewest = min(map(len, by_seed))
    error, degrees = total_error(variance, fewest, float(by_example.var(ddof=1)) / n, n, shared)
    if not 0 < value < 1:
        return Interval(value, value)
    half = float(special.stdtrit(degrees, (1 + level) / 2)) * error / (value * (1 - value))
    low, high = special.expit(special.logit(value) + np.array([-half, half]))
    return Interval(float(low), float(high))


def churn_difference(one: Churn, other: Churn, level: float = 0.95, paired: bool = False) -> tuple[float, Interval]:
    """How much larger the churn of one study is than that of another, on the same examples.

    Their seeds are independent, or `paired`: the i-th of both share their draws, as of the same order of the training
    set. Then each leaves both studies together in the jackknife, and what the draws do to both churns cancels.
    """
    value, n = one.value - other.value, len(one.by_example)
    variance, shared = one.seeds_variance + other.seeds_variance, one.shared + other.shared
    if math.isnan(variance) or n < 2:
        return value, UNKNOWN
    if paired:
        effects = (one.by_seed[0] - one.value) - (other.by_seed[0] - other.value)
        # The interaction of the difference is not known. It is not taken out: the interval is rather too wide.
        variance, shared = _jackknife_scale(len(effects)) * float((effects**2).sum()), 0.0
    over_examples = float((one.by_example - other.by_example).var(ddof=1)) / n
    fewest = min(map(len, (*one.by_seed, *other.by_seed)))
    error, degrees = total_error(variance, fewest, over_examples, n, shared)
    half = float(special.stdtrit(degrees, (1 + level) / 2)) * error
    return value, Interval(value - half, value + half)


def independent_churn(counts: Array, truth: Array) -> float:
    """The churn if each seed drew its label for an example from the labels given to all examples of its class.

    Mistakes as frequent and of the same kinds, but at random places: Σ_c w_c (1 - Σ_k π_c(k)²), where π_c are the
    shares of labels within true class c, and w_c is its share of the examples. Chance agreement as in Fleiss 1971
    ("Measuring nominal scale agreement among many raters"), within each class. With two labels and an error e it is
    2e(1-e), with more kinds of mistakes more. Seeds that share their mistakes churn less.
    """
    given = confusion(counts, truth)
    return float(given.sum(axis=1) @ (1 - (_shares(given) ** 2).sum(axis=1)) / given.sum())


def confusion(counts: Array, truth: Array) -> Array:
    """How often seeds gave each label to examples of each class (C, K), over all seeds."""
    found = np.zeros((int(truth.max()) + 1, counts.shape[1]), np.int64)
    np.add.at(found, truth, counts)
    return found


def _shares(table: Array) -> Array:
    return table / np.maximum(1, table.sum(axis=1, keepdims=True))


class ClassSpread(NamedTuple):
    """Of each class (C,): examples, and of its accuracy over seeds the mean, the std, and the std by chance alone."""

    examples: Array
    mean: Array
    std: Array
    by_chance: Array


def class_spread(labels: Array, counts: Array, truth: Array) -> ClassSpread:
    """The spread of the accuracy of each class over seeds, beside its binomial share.

    Sub-groups move where the whole does not: Zhuang et al. 2021 (arXiv 2106.11872). `by_chance` is the std if seeds
    erred on each example independently of one another: see `independent_example_variance`. nan for absent classes.
    """
    classes = int(truth.max()) + 1
    examples = np.bincount(truth, minlength=classes)
    right = np.zeros((len(labels), classes), np.float32)
    width = max(1, BLOCK // len(labels))
    for start in range(0, len(truth), width):
        block = slice(start, start + width)
        members = (truth[block, None] == np.arange(classes)).astype(np.float32)
        right += (labels[:, block] == truth[block].astype(labels.dtype)).astype(np.float32) @ members
    share = counts[np.arange(len(truth)), truth] / len(labels)
    with np.errstate(invalid="ignore"):
        accuracy = right.astype(float) / examples
    chance = [independent_example_variance(share[truth == c], len(labels)) if examples[c] else math.nan
              for c in range(classes)]  # fmt: skip
    return ClassSpread(examples, accuracy.mean(axis=0), sample_std(accuracy), np.sqrt(chance))


def mapped_seeds(seeds: int, most: int = MAPPED, seed: int = 0) -> Array:
    """Positions of the seeds in a map, ascending: all, or `most` of them drawn at random."""
    return np.arange(seeds) if seeds <= most else np.sort(np.random.default_rng(seed).permutation(seeds)[:most])


def pairwise_churn(labels: Array, counts: Array) -> Array:
    """The churn of each pair of seeds (S, S), exactly, by products of one-hot matrices.

    Left out of them are labels that one seed gave alone, which match in no pair, and that all gave, which do in each.
    """
    seeds, n = labels.shape
    same = np.full((seeds, seeds), (counts == seeds).sum(), np.float32)  # exact up to 2**24 examples
    examples, given = np.nonzero((counts > 1) & (counts < seeds))
    width = max(1, BLOCK // seeds)
    for start in range(0, len(examples), width):
        block = slice(start, start + width)
        one_hot = (labels[:, examples[block]] == given[block].astype(labels.dtype)).astype(np.float32)
        same += one_hot @ one_hot.T
    apart = 1 - same.astype(float) / n
    np.fill_diagonal(apart, 0.0)
    return apart


def embed(apart: Array) -> tuple[Array, Array]:
    """A map of seeds (S, 2) by their pairwise churn (S, S), and the shares (2,) of all variance that its axes show.

    Classical scaling (Torgerson 1952, Gower 1966) with churn as the squared distance: where labels are one-hot vectors
    it is half of their squared Euclidean distance, so that the axes are principal components of what seeds said. The
    sign of an axis is arbitrary: its largest coordinate is positive.
    """
    seeds = len(apart)
    if seeds < 3:
        raise ValueError(f"a map needs at least 3 seeds, not {seeds}")
    means = apart.mean(axis=0)
    inner = -0.5 * (apart - means - means[:, None] + means.mean())
    values, vectors = linalg.eigh(inner, subset_by_index=[seeds - 2, seeds - 1])
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    places = vectors * np.sqrt(values)
    places *= np.sign(places[np.abs(places).argmax(axis=0), [0, 1]])
    total = float(np.trace(inner))
    return places, values / total if total > 0 else np.zeros(2)


class Families(NamedTuple):
    """Two groups of seeds on an axis: who is in the second (S,), and how surprising so clear a split is."""

    second: Array
    share: float  # of the variance along the axis that lies between the groups
    p: float


def families(places: Array, draws: int = 999) -> Families:
    """The best split of seeds along an axis (S,) into two groups, and a test that they are more than a spread.

    The largest share of variance between two groups, as in Engelman and Hartigan 1969 ("Percentage points of a test
    for clusters"), against that of as many uniform draws: among distributions without a gap the uniform one splits
    best, as in Hartigan and Hartigan's dip test (1985). The p-value is by simulation with a fixed seed.
    """
    n = len(places)
    order = np.argsort(places, kind="stable")
    shares = _split_shares(places[None, order])[0]
    best = int(shares.argmax())
    second = np.zeros(n, bool)
    second[order[best + 1 :]] = True
    rng = np.random.default_rng(0)
    drawn = [_split_shares(np.sort(rng.random((1, n)), axis=1)).max() for _ in range(draws)]
    return Families(second, float(shares[best]), (1 + int((np.array(drawn) >= shares[best]).sum())) / (draws + 1))


def _split_shares(ordered: Array) -> Array:
    """For rows (R, n), ascending: the share of their variance between the first 1, ..., n-1 and the others (R, n-1)."""
    n = ordered.shape[1]
    centred = ordered - ordered.mean(axis=1, keepdims=True)
    first = np.arange(1, n)
    sums = centred.cumsum(axis=1)[:, :-1]
    total = (centred**2).sum(axis=1, keepdims=True)
    return np.divide(sums**2 * n / (first * (n - first)), total, out=np.zeros_like(sums), where=total > 0)
