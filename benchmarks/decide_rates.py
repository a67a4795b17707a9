"""How often `seedspread decide` is wrong, and how many pairs of seeds it takes: `python -m benchmarks.decide_rates`.

All is simulated with `st.look`, which the command calls after each pair of seeds. Beside it: group sequential t-tests,
which look after each pair as well, and fixed-sample t-tests. Scores are in standard deviations of one arm, which are
independent but where it is said.

`--runs FILE` adds nulls of real scores: rows of Markdown that begin with | val|NAME| or |test|NAME|, as in README.md of
https://github.com/gmberton/deepseed_v2, which holds 2 x 400 runs of ResNet-9 on CIFAR-10.
"""

import argparse
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy import optimize, special, stats

from seedspread import statistics as st
from seedspread.decide.decision import open_contest
from seedspread.records.metric import Metric
from seedspread.report.drawing import STYLE
from seedspread.statistics import Array, Outcome, sequential

BUDGET = 100  # pairs
GENEROUS = 300
ALPHA, POWER = 0.05, 0.8
PATHS = 400_000  # simulated for the boundaries of the group sequential tests
TRUTHS = (0.0, 0.5, 1.0, 2.0)
Arms = tuple[Array, Array]
Stopped = tuple[Array, Array]  # outcomes and pairs taken, (R,) each
Test = Callable[[Array, Array, float | None], Stopped]


# What is simulated


def decide(one: Array, other: Array, worth: float | None, alpha: float = ALPHA) -> Stopped:
    """Look at arms (R, N) after every pair and stop where a look decides."""
    repeats, most = one.shape
    outcomes, pairs, running = np.zeros(repeats, int), np.full(repeats, most), np.arange(repeats)
    for n in range(st.FEWEST, most + 1):
        found = st.look(one[running, :n], other[running, :n], 1, worth, alpha).outcome
        outcomes[running], pairs[running[found > 0]] = found, n
        running = running[found == 0]
    return outcomes, pairs


def pocock(share: Array) -> Array:
    """The part of alpha that is spent at a share of the budget (Lan and DeMets 1983, shape of Pocock's boundary)."""
    return ALPHA * np.log(1 + (math.e - 1) * share)


def obrien_fleming(share: Array) -> Array:
    """The same in the shape of O'Brien and Fleming's boundary: hardly anything at the first looks."""
    return 2 * special.ndtr(special.ndtri(ALPHA / 2) / np.sqrt(share))


class GroupSequential:
    """A paired t-test looked at after every pair of a budget that is fixed beforehand.

    |t| beyond which it rejects, for each number of pairs, from simulated normal differences: at each look as many of
    the paths that are left are rejected as the spending function allows. The intervals mean ± critical t · error
    (Jennison and Turnbull 1989, "repeated confidence intervals") decide as those of `st.look` do.
    """

    def __init__(self, spend: Callable[[Array], Array], budget: int) -> None:
        rng = np.random.default_rng(0)
        left, spent = np.ones(PATHS, bool), 0
        total, squares = np.zeros(PATHS), np.zeros(PATHS)
        self.critical = np.full(budget + 1, np.inf)
        for n in range(1, budget + 1):
            draws = rng.standard_normal(PATHS)
            total, squares = total + draws, squares + draws**2
            count = round(float(spend(np.array(n / budget))) * PATHS) - spent
            if n < st.FEWEST or count < 1:
                continue
            t = np.abs(total) / np.sqrt(n * (squares - total**2 / n) / (n - 1))
            t[~left] = 0
            self.critical[n] = np.partition(t, -count)[-count]
            left &= t < self.critical[n]
            spent += count

    def __call__(self, one: Array, other: Array, worth: float | None) -> Stopped:
        n = np.arange(1, one.shape[1] + 1)
        mean, error = running_mean(other - one)
        with np.errstate(invalid="ignore"):
            half = self.critical[n] * error
        low, high = mean - half, mean + half
        equivalent = np.zeros_like(low, bool) if worth is None else (low > -worth) & (high < worth)
        found = np.select([equivalent, low > 0, high < 0], [Outcome.EQUIVALENT, Outcome.BETTER, Outcome.WORSE], 0)
        found[:, : st.FEWEST - 1] = 0
        first = np.where((found > 0).any(axis=1), (found > 0).argmax(axis=1), one.shape[1] - 1)
        return found[np.arange(len(found)), first], first + 1


def running_mean(differences: Array) -> Arms:
    """Mean and standard error of the first 1, 2, ... differences of each row."""
    n = np.arange(1, differences.shape[1] + 1)
    mean = np.cumsum(differences, axis=1) / n
    left = np.cumsum(differences**2, axis=1) - n * mean**2
    return mean, np.sqrt(np.maximum(left, 1e-12) / np.maximum(n - 1, 1) / n)


class Advised:
    """A paired t-test of the first pairs; where it is not significant, add as many as it advises, and test again.

    That many give the test a power of 80 % at the difference just seen, at most the pairs that there are. `times`: how
    often pairs are added; 0 is the fixed-sample test.
    """

    def __init__(self, first: int, times: int) -> None:
        self.first, self.times = first, times
        self.sizes = np.arange(2, BUDGET + 1)[::-1]
        effects = [st.detectable_errors(n - 1, POWER, ALPHA) / math.sqrt(n) for n in self.sizes.tolist()]
        self.effects = np.array(effects)  # means in stds that so many pairs show

    def __call__(self, one: Array, other: Array, worth: float | None) -> Stopped:
        repeats, most = one.shape
        mean, error = running_mean(other - one)
        rows, pairs, outcomes = np.arange(repeats), np.full(repeats, self.first), np.zeros(repeats, int)
        for _ in range(self.times + 1):
            average, t = mean[rows, pairs - 1], mean[rows, pairs - 1] / error[rows, pairs - 1]
            shown = np.abs(t) > special.stdtrit(pairs - 1, 1 - ALPHA / 2)
            outcomes = np.where(shown, np.where(average > 0, Outcome.BETTER, Outcome.WORSE), Outcome.UNDECIDED)
            place = np.searchsorted(self.effects, np.abs(t) / np.sqrt(pairs), side="right") - 1
            wanted = np.where(place < 0, most, self.sizes[np.maximum(place, 0)])
            pairs = np.where(shown, pairs, np.clip(wanted, pairs, most))
        return outcomes, pairs


# Arms that do not differ


def collapse(scores: Array, rng: np.random.Generator, rate: float = 0.05) -> Array:
    """The scores with a share of them at chance level."""
    return np.where(rng.random(scores.shape) < rate, 10.0, scores)


def draw_null(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Arms:
    """Scores of two arms with the same mean; accuracies in percent where they are bounded."""
    draws = {
        "normal": lambda: rng.standard_normal(shape),
        "skewed (lognormal)": lambda: -rng.lognormal(0, 1, shape),
        "heavy tails (t, 3 df)": lambda: rng.standard_t(3, shape),
        "5 % collapsed": lambda: collapse(rng.normal(90, 0.2, shape), rng),
        "500 test examples": lambda: rng.binomial(500, 0.976, shape) / 5,
    }
    match kind:
        case "correlated, 0.5":
            shared, one, other = rng.standard_normal((3, *shape))
            return shared + one, shared + other
        case "unequal, std 1 and 4":
            return rng.standard_normal(shape), 4 * rng.standard_normal(shape)
        case "exponential against constant":
            return rng.normal(0, 0.01, shape), rng.exponential(1, shape) - 1
        case "lognormal against normal":
            mean, std = math.exp(0.5), math.sqrt((math.e - 1) * math.e)
            return rng.normal(-mean, std, shape), draws["skewed (lognormal)"]()
        case "mild lognormal against normal":  # of a skewness of 1
            width = 0.314
            mean, std = math.exp(width**2 / 2), math.exp(width**2 / 2) * math.sqrt(math.expm1(width**2))
            return rng.normal(-mean, std, shape), -rng.lognormal(0, width, shape)
    return draws[kind](), draws[kind]()


KINDS = (
    "normal",
    "skewed (lognormal)",
    "heavy tails (t, 3 df)",
    "5 % collapsed",
    "500 test examples",
    "correlated, 0.5",
    "unequal, std 1 and 4",
)
ONE_SKEWED = ("mild lognormal against normal", "lognormal against normal", "exponential against constant")


def draw_normal(repeats: int, pairs: int, truth: float, rng: np.random.Generator) -> Arms:
    one, other = rng.standard_normal((2, repeats, pairs))
    return one, other + truth


def read_runs(path: Path) -> dict[str, Array]:
    """The scores in the rows of a table, by the row's two names."""
    rows = re.findall(r"^\| *(val|test) *\|([^|]+)\|((?: *\d+\.\d+ *\|)+)", path.read_text(), re.MULTILINE)
    return {f"{kind} {name}": np.array(scores.split("|")[:-1], float) for kind, name, scores in rows}


# Tables


def upper_limit(count: int, repeats: int) -> float:
    """The upper 95 % limit of a rate (Clopper and Pearson 1934)."""
    return float(stats.binomtest(count, repeats, alternative="less").proportion_ci(0.95).high)


def show_rate(wrong: Array) -> str:
    count, repeats = int(np.count_nonzero(wrong)), len(wrong)
    return f"{100 * count / repeats:.1f} ({100 * upper_limit(count, repeats):.1f})"


def show_table(title: str, head: Sequence[str], rows: Iterator[Sequence[str]] | list[Sequence[str]]) -> None:
    """Print a Markdown table, row by row as they come."""
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def split_runs(scores: Array, repeats: int, rng: np.random.Generator) -> Arms:
    """Two arms of BUDGET scores each, drawn from one set of runs with replacement."""
    one, other = rng.choice(scores, (2, repeats, BUDGET))
    return one, other


def rates(repeats: int, runs: dict[str, Array]) -> None:
    """How often each test is wrong, where the arms have equal means and where they differ by exactly `worth`."""
    looked: dict[str, Test] = {
        "decide": decide,
        "Pocock": GroupSequential(pocock, BUDGET),
        "O'Brien-Fleming": GroupSequential(obrien_fleming, BUDGET),
    }
    plain: dict[str, Test] = {
        "t-test of 20": Advised(20, 0),
        "of 5, pairs added once": Advised(5, 1),
        "twice": Advised(5, 2),
        "until 100": Advised(5, 99),
        "of 20, until 100": Advised(20, 99),
    }

    def arms(kind: str, seed: int) -> Arms:
        rng = np.random.default_rng(seed)
        return split_runs(runs[kind], repeats, rng) if kind in runs else draw_null(kind, (repeats, BUDGET), rng)

    def false_verdicts() -> Iterator[Sequence[str]]:
        for kind in (*KINDS, *runs, *ONE_SKEWED):
            one, other = arms(kind, 1)
            yield kind, *(show_rate(test(one, other, None)[0] > 0) for test in (*looked.values(), *plain.values()))

    def false_equivalence() -> Iterator[Sequence[str]]:
        for kind in (*KINDS, *runs, *ONE_SKEWED):
            one, other = arms(kind, 2)
            apart = other - one
            worth = float(apart[np.abs(apart) < 20].std() / math.sqrt(2))  # of pairs without a collapsed seed
            found = [test(one, other + worth, worth)[0] for test in looked.values()]
            yield kind, *(show_rate((outcome > 0) & (outcome != Outcome.BETTER)) for outcome in found)

    about = f"% of {repeats:,} repeats (upper 95 % limit), a look after each pair from 3 to {BUDGET}"
    show_table(f"False verdicts, equal means: {about}", ["scores", *looked, *plain], false_verdicts())
    show_table(f"False equivalence, difference of worth: {about}", ["scores", *looked], false_equivalence())


def planning(repeats: int) -> None:
    """Power with the pairs that are planned for it, from a known spread and from the upper limit of a pilot's."""

    def known() -> Iterator[Sequence[str]]:
        for worth in (0.5, 1.0, 2.0):
            pairs = st.pairs_needed(math.sqrt(2), worth)
            found = [
                decide(*draw_normal(repeats, pairs, truth, np.random.default_rng(3)), worth)[0]
                for truth in (worth, 0.0)
            ]
            better, equivalent = np.mean(found[0] == Outcome.BETTER), np.mean(found[1] == Outcome.EQUIVALENT)
            yield f"{worth:g}", str(pairs), f"{100 * better:.1f}", f"{100 * equivalent:.1f}"

    def pilot() -> Iterator[Sequence[str]]:
        rng, pilots = np.random.default_rng(4), max(1, repeats // 10)
        for first in (5, 10, 20):
            enough = {"the std itself": 0, "its upper 80 % limit": 0}
            needed = st.pairs_needed(1.0, 1.0)
            for std in rng.standard_normal((pilots, first)).std(axis=1, ddof=1):
                enough["the std itself"] += st.pairs_needed(std, 1.0) >= needed
                enough["its upper 80 % limit"] += st.pairs_needed(st.std_upper_limit(std, first), 1.0) >= needed
            yield str(first), *(f"{100 * count / pilots:.0f}" for count in enough.values())

    head = ["worth, stds", "pairs planned", "better, at a difference of worth, %", "equivalent, at 0, %"]
    show_table(f"Power with the pairs planned for 80 %, {repeats:,} repeats", head, known())
    head = ["first pairs", "planned with their std, %", "with its upper 80 % limit, %"]
    show_table(f"How often the pairs planned suffice for 80 %, {repeats // 10:,} pilots", head, pilot())


def fixed_pairs(truth: float, worth: float, power: float) -> int:
    """The smallest fixed sample with this power: paired t-test, or where the truth is 0 two one-sided ones at 5 %."""
    std = math.sqrt(2)
    if truth:
        return int(st.seeds_needed(std, truth, power, ALPHA, pairs=True))
    upper = (np.arange(1000) + 0.5) / 1000

    def lacks(n: float) -> float:
        stds = np.sqrt(special.chdtri(n - 1, upper) / (n - 1))
        inside = special.ndtr(math.sqrt(n) * worth / std - special.stdtrit(n - 1, 1 - ALPHA) * stds)
        return power - float(np.maximum(0, 2 * inside - 1).mean())

    return math.ceil(optimize.brentq(lacks, 3, 10_000))


def right(outcomes: Array, truth: float, worth: float) -> Array:
    """Which verdicts are right; between 0 and `worth`, better and equivalent both are."""
    good = [Outcome.EQUIVALENT] if truth == 0 else [Outcome.BETTER] + [Outcome.EQUIVALENT] * (truth < worth)
    return np.isin(outcomes, good)


def group_tests(budget: int) -> dict[str, Test]:
    return {"Pocock": GroupSequential(pocock, budget), "O'Brien-Fleming": GroupSequential(obrien_fleming, budget)}


def sizes(repeats: int) -> None:
    """Mean pairs to a verdict, beside group sequential tests of the same budget and fixed samples of the same power."""

    def rows(budget: int | None) -> Iterator[Sequence[str]]:
        for worth in (0.5, 1.0):
            most = budget or st.pairs_needed(math.sqrt(2), worth)
            tests: dict[str, Test] = {"decide": decide, **group_tests(most)}
            found = {}
            for truth in TRUTHS:
                one, other = draw_normal(repeats, most, truth, np.random.default_rng(5))
                found[truth] = [test(one, other, worth) for test in tests.values()]
            power = {truth: right(found[truth][0][0], truth, worth).mean() for truth in TRUTHS}
            planned = max(fixed_pairs(truth, worth, min(power[truth], 0.999)) for truth in (0.0, worth))
            for truth in TRUTHS:
                shares = [100 * right(outcomes, truth, worth).mean() for outcomes, _ in found[truth]]
                means = [pairs.mean() for _, pairs in found[truth]]
                each = [f"{mean:.1f} ({share:.1f})" for mean, share in zip(means, shares, strict=True)]
                known = fixed_pairs(truth, worth, min(power[truth], 0.999))
                yield f"{worth:g}", str(most), f"{truth:g}", *each, str(planned), str(known)

    head = ["worth", "budget", "true difference", "decide", "Pocock", "O'Brien-Fleming"]
    head += ["fixed, planned for worth", "fixed, difference known"]
    about = f"mean pairs (right verdicts, %), {repeats:,} repeats; worth and difference in stds of one arm"
    show_table(f"Budget planned for 80 % power: {about}", head, rows(None))
    show_table(f"A generous budget: {about}", head, rows(GENEROUS))


def families(repeats: int) -> None:
    """Several candidates that equal the baseline, and a contest on three tasks without a difference."""
    rng = np.random.default_rng(6)
    one, *others = rng.standard_normal((5, repeats, BUDGET))
    wrong = [decide(one, other, None, ALPHA / len(others))[0] > 0 for other in others]
    any_wrong = np.any(wrong, axis=0)
    fewer = max(1, repeats // 5)
    metric, scale, found = Metric.of("score", "maximize", "none"), np.array([1.0, 3.0, 0.3]), []
    for scores in rng.standard_normal((fewer, BUDGET, 3, 2)):
        contest = open_contest(["a"] * 3, ["b"] * 3, [metric] * 3, [0.01 * float(std) for std in scale])
        for label, row in enumerate(scores * scale[:, None]):
            contest.add(label, [(first, second) for first, second in row.tolist()])
        tasks = any(outcome != Outcome.UNDECIDED for outcome, _ in contest.task_verdicts())
        found.append((tasks, contest.overall.outcome != Outcome.UNDECIDED))
    tasks, overall = np.array(found).T
    rows: list[Sequence[str]] = [
        ("any of 4 equal candidates against one baseline, each at 5 % / 4", f"{repeats:,}", show_rate(any_wrong)),
        ("three tasks: the mean over them", f"{fewer:,}", show_rate(overall)),
        ("three tasks: any task, by Holm", f"{fewer:,}", show_rate(tasks)),
        ("three tasks: either", f"{fewer:,}", show_rate(tasks | overall)),
    ]
    head = ["false verdict", "repeats", "% (upper 95 % limit)"]
    show_table(f"Families, normal scores, a look after each pair from 3 to {BUDGET}", head, rows)


def collapses(repeats: int) -> None:
    """Verdicts where the healthy means are equal and only the candidate's seeds collapse."""

    def rows() -> Iterator[Sequence[str]]:
        for rate in (0.0, 0.05, 0.2, 0.5):
            rng = np.random.default_rng(8)
            one, other = rng.normal(90, 0.2, (2, repeats, BUDGET))
            outcomes, pairs = decide(one, collapse(other, rng, rate), 0.2)
            shares = [f"{100 * np.mean(outcomes == outcome):.1f}" for outcome in Outcome]
            yield f"{100 * rate:g}", *shares, f"{pairs.mean():.1f}"

    head = ["collapsed, %", *(f"{outcome.name.lower()}, %" for outcome in Outcome), "mean pairs"]
    about = f"a worth of 1 std, at most {BUDGET} pairs, {repeats:,} repeats"
    show_table(f"Only the candidate collapses, equal means of the others: {about}", head, rows())


def priors(repeats: int) -> None:
    """What the variance of the prior does to rates and mean pairs."""

    def rows() -> Iterator[Sequence[str]]:
        for variance in (0.1, 0.25, 0.5, 1.0):
            with patch.object(sequential, "PRIOR_VARIANCE", variance):
                one, other = draw_normal(repeats, BUDGET, 0.0, np.random.default_rng(1))
                false = show_rate(decide(one, other, None)[0] > 0)
                means = []
                for worth in (0.5, 1.0):
                    for truth in TRUTHS:
                        arms = draw_normal(repeats // 4, GENEROUS, truth, np.random.default_rng(5))
                        means.append(f"{decide(*arms, worth)[1].mean():.1f}")
                yield f"{variance:g}", false, *means

    head = ["prior variance", "false verdicts, %", *(f"worth {w:g}, true {t:g}" for w in (0.5, 1.0) for t in TRUTHS)]
    about = f"{repeats:,} repeats of 100 pairs; mean pairs of {repeats // 4:,} repeats of a budget of {GENEROUS}"
    show_table(f"The prior's variance: {about}", head, rows())


@mpl.rc_context(STYLE)
def figure(repeats: int, path: Path) -> None:
    """Draw mean pairs by true difference: one panel for each worth."""
    truths = np.linspace(0, 2, 21)
    tests: dict[str, Test] = {"decide": decide, **group_tests(GENEROUS)}
    colours = ("#0072b2", "#e69f00", "#009e73")
    drawn = Figure(figsize=(8.6, 3.6), layout="constrained")
    for ax, worth in zip(drawn.subplots(1, 2, sharey=True), (0.5, 1.0), strict=True):
        for (name, test), colour in zip(tests.items(), colours, strict=True):
            means = []
            for truth in truths:
                arms = draw_normal(repeats, GENEROUS, float(truth), np.random.default_rng(7))
                means.append(test(*arms, worth)[1].mean())
            label = "seedspread decide" if name == "decide" else f"group sequential, {name}"
            ax.plot(truths, means, "-" if name == "decide" else "--", color=colour, label=label)
        for power, line in ((0.8, ":"), (0.98, "-.")):
            fixed = max(fixed_pairs(truth, worth, power) for truth in (0.0, worth))
            ax.axhline(fixed, color="#555555", linestyle=line, label=f"fixed sample, power {100 * power:.0f} %")
        ax.axvline(worth, color="#bbbbbb", linewidth=1)
        ax.set_title(f"worth = {worth:g} std")
        ax.set_xlabel("true difference, std of one arm")
        ax.set_ylim(bottom=0)
    drawn.axes[0].set_ylabel("pairs of seeds, mean")
    drawn.axes[1].legend()
    drawn.savefig(path, metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("rates", "planning", "sizes", "families", "collapses", "priors", "figure")
    parser.add_argument("--part", choices=parts, help="one table; by default all but the figure")
    parser.add_argument("--repeats", type=int, default=20_000)
    parser.add_argument("--runs", type=Path, help="real scores, for nulls of them")
    parser.add_argument("--figure", type=Path, default=Path("docs/deciding.png"), help="what --part figure writes")
    options = parser.parse_args(arguments)
    runs = read_runs(options.runs) if options.runs else {}
    calls: dict[str, Callable[[], None]] = {
        "rates": lambda: rates(options.repeats, runs),
        "planning": lambda: planning(options.repeats),
        "sizes": lambda: sizes(options.repeats),
        "families": lambda: families(options.repeats),
        "collapses": lambda: collapses(options.repeats),
        "priors": lambda: priors(options.repeats),
        "figure": lambda: figure(options.repeats, options.figure),
    }
    for part in [options.part] if options.part else parts[:-1]:
        began = time.perf_counter()
        calls[part]()
        print(f"\n{part}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
