"""How much of a study's spread is luck with the test set, in words."""

import math

from seedspread.config.overrides import shorten_seeds
from seedspread.report.findings import Findings
from seedspread.report.luck import Luck

POPULAR_SEEDS = (0, 1, 42, 1234, 3407)
CHOICES_IN_WORDS = (2, 5, 10, 100, 1000)  # the best of so many seeds


def luck_section(found: Findings) -> list[str]:
    """The words of `luck_words` for a report; none where scores are no fractions of right answers."""
    return [] if (found.test or found.scores).examples is None else luck_words(found)


def luck_words(found: Findings) -> list[str]:
    """How much of a study's spread is luck, in sentences; or why that is unknown."""
    if (luck := found.luck) is None:
        if (found.test or found.scores).examples is None:
            what = found.scores.metric.name
            return [
                f"{found.name}: {what} is not recorded with right and wrong answers to test examples, which luck is "
                "computed from."
            ]
        why = "all seeds score the same" if not found.std else "the predictions of at least 5 seeds are needed"
        return [f"{found.name}: how much of the spread is luck is unknown: {why}."]
    lines = [_spread(luck), _halves(luck), *_choosing(luck), *_popular(luck)]
    if left := sorted(set(found.scores.seeds.tolist()) - set(luck.seeds.tolist())):
        lines.append(f"Without seed {shorten_seeds(left)} of {found.name}: the predictions are missing or damaged.")
    return lines


def format_std(variance: float) -> str:
    """A variance of fractions as a standard deviation in points."""
    return f"{100 * math.sqrt(variance):.2f} points"


def _spread(luck: Luck) -> str:
    v = luck.variance
    if v.interval.high <= 0:
        answer = "the scores vary less than networks that err independently would: no variance between them is shown"
    elif v.interval.low <= 0:
        answer = "no network is shown to be better than another"
    else:
        answer = "the networks do differ"
    low, high = (f"{100 * math.sqrt(max(0.0, side)):.2f}" for side in v.interval)
    if v.between < 0:
        part = f"; the estimate of its variance is negative, {1e4 * v.between:.3f} points squared"
    else:
        part = f", {100 * luck.reliability:.0f} % of the observed variance"
    return (
        f"{luck.name}: {answer}. The scores of {len(luck.seeds):,} seeds have a std of {format_std(v.seen)}. Chance on "
        f"the {luck.examples:,} test examples alone, with errors independent between networks, would give "
        f"{format_std(v.independent)}. The rest is the std between networks, which would show on new examples as well: "
        f"{'none' if v.between < 0 else format_std(v.between)} (95 % for other seeds and other test examples: {low} to "
        f"{high}){part}."
    )


def _halves(luck: Luck) -> str:
    if math.isnan(luck.correlation):
        return "Whether good seeds stay good on other test examples is unknown: too few seeds."
    low, high = luck.correlation_interval
    gain_low, gain_high = luck.quarter_interval
    if low > 0:
        answer = "Good seeds stay good on other test examples, to some extent"
    elif high > 0:
        answer = "A good seed is not shown to stay good on other test examples"
    else:
        answer = "Seeds that are good on some test examples are bad on others, possibly by chance"
    return (
        f"{answer}: the correlation between the scores on two random halves of the test set is {luck.correlation:+.2f} "
        f"(95 %: {low:+.2f} to {high:+.2f}). The best quarter of seeds on one half is {luck.quarter_gain:+.2f} points "
        f"{'from' if luck.sign > 0 else 'better than'} the mean on the other ({gain_low:+.2f} to {gain_high:+.2f})."
    )


def _choosing(luck: Luck) -> list[str]:
    if not luck.choices:
        return [f"The gain of choosing the best of several seeds is unknown: {len(luck.seeds)} seeds are too few."]
    lines = [
        f"best of {c.k:,}: {c.apparent:+.2f} points on the half it was chosen on, {c.real:+.2f} on the other "
        f"({c.real_interval.low:+.2f} to {c.real_interval.high:+.2f})"
        for c in luck.choices
        if c.k in CHOICES_IN_WORDS
    ]
    return [
        f"Choosing the best of several seeds, apparent and real gain: {'; '.join(lines)}. These are halves of the test "
        "set; choosing by the whole set is less noisy."
    ]


def _popular(luck: Luck) -> list[str]:
    where = {seed: i for i, seed in enumerate(luck.seeds.tolist()) if seed in POPULAR_SEEDS}
    if not where:
        return []
    n, mean = len(luck.seeds), luck.accuracy.mean()
    ranks = []
    for seed, i in where.items():
        rank = int((luck.sign * luck.accuracy > luck.sign * luck.accuracy[i]).sum()) + 1
        ranks.append(f"seed {seed} is {luck.accuracy[i] - mean:+.2f} points from the mean, rank {rank:,} of {n:,}")
    text = f"Popular seeds: {'; '.join(ranks)}. "
    if luck.reliability:
        left = 196 * math.sqrt(luck.variance.between * (1 - luck.reliability))
        text += f"On new examples {100 * luck.reliability:.0f} % of such a distance would remain, ± {left:.2f} points"
    else:
        text += "On new examples none of that would remain"
    return [f"{text}; with another network, other data or another machine, the number of a seed means nothing."]
