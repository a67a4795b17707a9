"""How often the interval of the variance between networks holds the truth, and how often outliers are false alarms:
`python -m benchmarks.luck_rates`.

Truth is never fitted: test example i has a logit, normal over examples; each network shifts all logits by one normal
draw, with a standard deviation tau, and errs on each example independently. The variance between networks over all
examples that there could be follows by quadrature.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy import special

from seedspread import statistics as st
from seedspread.statistics import Array, Between, Interval
from seedspread.statistics.luck import between_networks

LOGISTIC = special.logit((np.arange(65536) + 0.5) / 65536).astype(np.float32)  # draws by a table: ten times faster
DIFFICULTIES = {"75": (1.5, 1.5), "93": (4.0, 2.0)}  # accuracy in percent: mean and std of the logits of examples
SEEDS, EXAMPLES, TAUS = (20, 100, 500, 2000), (500, 2000, 10_000), (0.0, 0.05, 0.15, 0.4)


def true_variance(difficulty: tuple[float, float], tau: float) -> float:
    """The variance over networks of the accuracy on infinitely many examples."""
    x, weight = hermegauss(80)
    weight /= weight.sum()
    accuracy = weight @ special.expit(difficulty[0] + difficulty[1] * x[:, None] + tau * x)
    return float(weight @ (accuracy - weight @ accuracy) ** 2)


def draw_rows(
    rng: np.random.Generator, seeds: int, examples: int, difficulty: tuple[float, float], tau: float
) -> Array:
    """Which examples each seed gets right, packed (S, ceil(N/8))."""
    logits = rng.normal(*difficulty, examples).astype(np.float32)
    shifts = (tau * rng.standard_normal(seeds)).astype(np.float32)
    noise = (LOGISTIC[rng.integers(65536, size=examples, dtype=np.uint16)] for _ in range(seeds))
    return np.stack([np.packbits(draw < logits + shift) for draw, shift in zip(noise, shifts, strict=True)])


def interval_of_known_examples(rows: Array, examples: int, found: Between) -> Interval:
    """What takes the test examples as known: Bonett's interval of the variance seen, less chance."""
    accuracy, scale = np.bitwise_count(rows).sum(axis=1, dtype=np.int64) / examples, examples / (examples - 1)
    return Interval(*(scale * (side**2 - found.independent) for side in st.std_interval(accuracy)))


class Coverage(NamedTuple):
    """Of one simulated setting; percent, and points of accuracy."""

    true_std: float
    held: float
    held_by_known: float  # with the test examples taken as known
    low: float  # median ends of the interval, as standard deviations
    high: float


def measure_coverage(
    seeds: int, examples: int, difficulty: tuple[float, float], tau: float, repeats: int, seed: int = 0
) -> Coverage:
    rng, truth = np.random.default_rng(seed), true_variance(difficulty, tau)
    ours, known = [], []
    for _ in range(repeats):
        rows = draw_rows(rng, seeds, examples, difficulty, tau)
        found = between_networks(rows, examples)
        ours.append(found.interval)
        known.append(interval_of_known_examples(rows, examples, found))
    held, held_by_known = (100 * float(np.mean([i.low <= truth <= i.high for i in which])) for which in (ours, known))
    low, high = 100 * np.sqrt(np.maximum(0, np.median(ours, axis=0)))
    return Coverage(100 * truth**0.5, held, held_by_known, float(low), float(high))


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def coverage(repeats: int) -> None:
    """Table of the interval's coverage, its median ends, and what the test examples taken as known would cover."""

    def rows() -> Iterator[Sequence[str]]:
        for number, (accuracy, difficulty) in enumerate(DIFFICULTIES.items()):
            for seeds, examples in product(SEEDS, EXAMPLES):
                times = repeats if seeds * examples <= 1_000_000 else repeats // 5
                cells = []
                for tau in TAUS:
                    seed = hash((number, seeds, examples, round(100 * tau))) % 2**32  # of integers: always the same
                    c = measure_coverage(seeds, examples, difficulty, tau, times, seed)
                    cells.append(f"{c.held:.1f} ({c.held_by_known:.1f}), {c.low:.2f} to {c.high:.2f}")
                yield accuracy, f"{seeds:,}", f"{examples:,}", *cells

    truths = ([100 * true_variance(each, tau) ** 0.5 for each in DIFFICULTIES.values()] for tau in TAUS)
    stds = (f"true std {' or '.join(f'{std:.2f}' for std in each)}" for each in truths)
    show_table(["accuracy, %", "seeds", "examples", *stds], rows())


def measure_alarms(seeds: int, examples: int, accuracy: float, repeats: int, step: float | None) -> float:
    """How often, in percent, any of equal networks is called an outlier; each errs on each example independently."""
    rng = np.random.default_rng(hash((seeds, examples, round(1000 * accuracy))) % 2**32)
    drawn = (100 * rng.binomial(examples, accuracy, seeds) / examples for _ in range(repeats))
    return 100 * float(np.mean([len(st.outliers(scores, step=step)) > 0 for scores in drawn]))


def alarms(repeats: int) -> None:
    """Table of false alarms, with the size of an example known and found from the scores."""

    def rows() -> Iterator[Sequence[str]]:
        for accuracy, examples in product((0.9, 0.99, 0.998), (500, 2000, 10_000)):
            cells = []
            for seeds in (20, 100, 1000, 10_000):
                times = repeats if seeds <= 100 else repeats // (seeds // 100)
                rates = (measure_alarms(seeds, examples, accuracy, times, step) for step in (100 / examples, None))
                cells.append("{:.1f} ({:.1f})".format(*rates))
            yield f"{100 * accuracy:.1f}", f"{examples:,}", *cells

    show_table(["accuracy, %", "examples", *(f"{n:,} seeds" for n in (20, 100, 1000, 10_000))], rows())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"coverage": coverage, "alarms": alarms}
    parser.add_argument("--part", choices=list(parts), help="one table; by default both")
    parser.add_argument("--repeats", type=int, default=1000, help="fewer of large studies")
    options = parser.parse_args(arguments)
    for part in [options.part] if options.part else parts:
        began = time.perf_counter()
        parts[part](options.repeats)
        print(f"\n{part}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
