"""The answers at the top of a study's page, each a few words with its number; where one is missing, why.

The short names are those of the sections that explain them.
"""

import math
from collections.abc import Sequence

from seedspread import statistics as st
from seedspread.config.overrides import shorten_seeds
from seedspread.report.agreement_words import percent, percent_interval
from seedspread.report.document import Answer, AnswerLine
from seedspread.report.findings import Findings
from seedspread.report.labels import name_before
from seedspread.report.luck import LEAST_SEEDS
from seedspread.report.means import MeansCompared
from seedspread.report.study_words import (
    StdComparison,
    count_noun,
    format_interval,
    format_p_value,
    has_spread,
    span_from_median,
)
from seedspread.report.verdict_words import metric_before, unit

SPREAD, SWANS, LUCK, AGREEMENT = "Spread", "Black swans", "Luck", "Agreement"
MEANS, STDS, PRETRAINING = "Means", "Spreads", "Pretraining"
NAMED = 3  # outliers whose seeds are named


def answers(several: Sequence[Findings]) -> list[Answer]:
    """Spread, luck's share, black swans and agreement of each study."""
    asked = ((SPREAD, _spread), (SWANS, _black_swans), (LUCK, _luck), (AGREEMENT, _agreement))
    return [Answer(short, [_of(found, several, ask(found)) for found in several]) for short, ask in asked]


def _of(found: Findings, several: Sequence[Findings], line: AnswerLine) -> AnswerLine:
    """A line with the name of its study where there are several."""
    return AnswerLine(line.answer, line.detail, found.name, line.known) if len(several) > 1 else line


def _unknown(why: str) -> AnswerLine:
    return AnswerLine("unknown", why, known=False)


def _spread(found: Findings) -> AnswerLine:
    d, what = found.digits, name_before(found.scores)
    if found.n == 1:
        return AnswerLine(f"{what}{d.value(found.mean)}", "one seed: a spread needs at least 2", known=False)
    score = f"{what}{d.plus_minus(found.mean, found.std)}{d.suffix}"
    if not found.std:
        return AnswerLine(score, f"all {found.n:,} seeds score the same")
    std = f"std {d.interval(*found.std_interval)}" if found.std_interval.is_known else "too few seeds to bound the std"
    details = [count_noun(found.n, "seed"), f"95 %: mean {d.interval(*found.mean_interval)}, {std}"]
    if (test := found.test) is not None:
        mean, spread = float(test.final.mean()), float(st.sample_std(test.final))
        details.append(f"{test.metric.name} {test.digits.plus_minus(mean, spread)}{test.digits.suffix}")
    return AnswerLine(score, "; ".join(details))


def _black_swans(found: Findings) -> AnswerLine:
    collapsed = ""
    if lost := len(found.collapsed):
        collapsed = f"{lost:,} of {found.runs:,} seeds collapsed"
    if found.n < 5 or not found.std:
        why = "all scores are equal" if found.n >= 5 else f"{count_noun(found.n, 'seed')}: at least 5 are needed"
        return AnswerLine(collapsed, why) if collapsed else _unknown(why)
    if not (count := len(found.outliers)):
        low, high = (found.min - found.mean) / found.std, (found.max - found.mean) / found.std
        expected = format_interval(st.expected_extreme(found.n)[1])
        detail = f"extremes {low:+.2f} and {high:+.2f} std from the mean; normal scores reach {expected}"
        return AnswerLine(collapsed or "none shown", f"no outlier: {detail}" if collapsed else detail)
    seeds = sorted(int(found.scores.seeds[i]) for i in found.outliers)
    named = f"seed {shorten_seeds(seeds)}" if count <= NAMED else f"seed {shorten_seeds(seeds[:NAMED])} and others"
    detail = f"{named}, {span_from_median(found)} the median"
    outliers = count_noun(count, "outlier")
    return AnswerLine(collapsed, f"{outliers}: {detail}") if collapsed else AnswerLine(outliers, detail)


def _luck(found: Findings) -> AnswerLine:
    if (luck := found.luck) is None:
        if (found.test or found.scores).examples is None:
            return _unknown("needs scores that are right answers to recorded test examples")
        if found.n > 1 and not found.std:
            return _unknown("all seeds score the same")
        return _unknown(f"needs the predictions of at least {LEAST_SEEDS} seeds")
    v = luck.variance
    low, high = (100 * math.sqrt(max(0.0, side)) for side in v.interval)
    between = f"std between networks {100 * math.sqrt(max(0.0, v.between)):.2f} points (95 %: {low:.2f} to {high:.2f})"
    better = "" if v.interval.low > 0 else "; no network is shown to be better"
    return AnswerLine(
        f"{100 * (1 - luck.reliability):.0f} % of the variance", f"by the choice of test examples; {between}{better}"
    )


def _agreement(found: Findings) -> AnswerLine:
    if (agreement := found.agreement) is None:
        return _unknown("needs the predicted labels of at least 2 seeds")
    churn = agreement.churn
    how = "one seed is right and another wrong" if agreement.only_right else "two seeds give different labels"
    interval = f" (95 %: {percent_interval(churn.interval)} %)" if churn.interval.is_known else ""
    error = "" if not agreement.error else f"; {churn.value / agreement.error:.2f} times the error"
    return AnswerLine(f"{percent(churn.value)} churn", f"{how}{interval}{error}")


def means_answer(compared: MeansCompared) -> Answer:
    """What each study's mean is against that of the first."""
    words = {"not shown": "no difference shown"}
    lines = []
    for c in compared.found:
        d, difference = c.digits(), c.primary
        value = f"{metric_before(c.metric)}{d.signed(difference.value)}{unit(c)}"
        p = format_p_value(c.p) + " by Holm" * (c.candidates > 1)
        detail = f"{value} (95 %: {d.signed_interval(*difference.interval)}), {p}"
        lines.append(
            AnswerLine(words.get(c.verdict, c.verdict), detail, f"{c.candidate.name} against {c.baseline.name}")
        )
    lines += [AnswerLine("unknown", why.replace("`", ""), name, known=False) for name, why in compared.left_out.items()]
    return Answer(MEANS, lines)


def spreads_answer(short: str, several: Sequence[Findings], compared: Sequence[StdComparison]) -> Answer:
    """By what factor the stds of pairs of studies differ."""
    lines = [
        AnswerLine(
            c.answer,
            f"{c.ratio:.2f} times the std (95 %: {format_interval(c.interval)}), {format_p_value(c.p)}",
            f"{c.one.name} against {c.other.name}",
        )
        for c in compared
    ]
    few = [found.name for found in several if not has_spread(found)]
    lines += [AnswerLine("unknown", "needs at least 5 seeds that differ", name, known=False) for name in few]
    return Answer(short, lines)
