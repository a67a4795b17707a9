"""A decision in words: a line for each look, the verdict, and what qualifies it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seedspread import statistics as st
from seedspread.decide.decision import ALPHA, POWER, Contest, Decision
from seedspread.records.digits import Digits
from seedspread.report.study_words import count_noun, format_p_value
from seedspread.statistics import Look, Outcome

WORDS = {
    Outcome.BETTER: "better",
    Outcome.WORSE: "worse",
    Outcome.EQUIVALENT: "equivalent",
    Outcome.UNDECIDED: "undecided",
}


@dataclass(frozen=True)
class Cost:
    """What a decision rests on: seconds of training per seed of the baseline and of the candidate, seeds, hours."""

    seconds: tuple[float, float]
    seeds: int
    hours: float

    @property
    def ratio(self) -> float:
        return self.seconds[1] / self.seconds[0] if self.seconds[0] > 0 else math.nan


def decision_digits(d: Decision) -> Digits:
    """How its differences are written: by their standard error at the last look."""
    error = float(d.look.error) if d.looks else math.nan
    scores = np.abs(np.array(d.scores))
    largest = float(np.nanmax(scores)) if np.isfinite(scores).any() else 1.0
    return Digits.of_error(d.metric, 0.0 if math.isnan(error) else error, largest)


def format_interval(d: Decision, look: Look) -> str:
    """The always-valid interval of a look; in words where it has no end yet."""
    if not (math.isfinite(float(look.low)) and math.isfinite(float(look.high))):
        return "no interval yet"
    return f"95 % {decision_digits(d).signed_interval(float(look.low), float(look.high))}"


def look_line(contest: Contest, budget: int | None = None) -> str:
    """What the latest pair shows: difference, interval, verdict so far, pairs to come."""
    d = contest.overall
    head = f"{d.candidate} - {d.baseline}  {d.pairs:>3} pairs"
    if d.pairs < st.FEWEST:
        return f"{head}  verdicts need more"
    look, digits = d.looks[-1], decision_digits(d)
    shown = f"{digits.signed(float(look.mean))}{digits.difference_suffix}" if look.healthy else "no healthy pair"
    parts = [head, f"{shown} ({format_interval(d, look)})", WORDS[d.outcome]]
    if (more := d.pairs_to_come) is not None:
        beyond = budget is not None and d.pairs + more > budget
        what = "decide in any case" if d.is_plan_spent else f"separate 0 from {d.worth:g}"
        parts.append(f"{more:,} more {what}{', beyond the budget' if beyond else ''}")
    return "  ".join(parts)


def verdict_line(contest: Contest) -> str:
    """The verdict in a sentence, and what it rests on."""
    d = contest.overall
    name, other = d.candidate, d.baseline
    if d.pairs < st.FEWEST:
        return f"{name} against {other} is undecided: {count_noun(d.pairs, 'pair')}; at least {st.FEWEST} are needed."
    if d.identical:
        return (
            f"{name} is equivalent to {other}: both have the same config, and each of {d.pairs} seeds gives the same "
            "scores."
        )
    digits, look = decision_digits(d), d.look
    what = "mean over tasks, " if len(contest.tasks) > 1 else ""
    unit = " times worth" if contest.worths else digits.difference_suffix
    valid = ", valid at every look" if math.isfinite(float(look.high)) else ""
    better = "" if d.metric.sign > 0 else f"; {d.metric.better}"
    evidence = f"{what}{digits.signed(float(look.mean))}{unit} ({format_interval(d, look)}{valid}{better})"
    if d.outcome == Outcome.UNDECIDED:
        among = ""
        if d.means_outcome != Outcome.UNDECIDED:
            relation = "equivalent" if d.means_outcome == Outcome.EQUIVALENT else WORDS[d.means_outcome]
            among = f" Among the seeds that did not collapse it is {relation}; the collapsed ones leave it open."
        return f"{name} against {other} is undecided after {count_noun(d.pairs, 'pair')}: {evidence}.{among}"
    after = f"decided after {d.decided_after} pairs"
    if d.outcome == Outcome.EQUIVALENT:
        gain = d.metric.sign * np.array([float(look.low), float(look.high)])
        sure = f"; {'a gain' if min(gain) > 0 else 'a loss'} for sure, below what it is worth"
        inside = sure if min(gain) > 0 or max(gain) < 0 else ""
        return f"{name} is equivalent to {other} within ±{d.worth:g}: {evidence}, {after}{inside}."
    why = "" if d.means_outcome == d.outcome else " by how often seeds collapse; means of the others:"
    return f"{name} is {WORDS[d.outcome]} than {other}{why or ':'} {evidence}, {after}."


def notes(contest: Contest, cost: Cost | None = None, budget: int | None = None) -> list[str]:
    """What qualifies the verdict: its size against worth, collapsed seeds, cost, pairs to come."""
    d = contest.overall
    if d.pairs < st.FEWEST:
        return []
    found = _size(d) + _collapse(d)
    if not d.identical and math.isnan(float(d.look.error)):
        found.append(
            f"All {count_noun(d.pairs, 'pair')} differ by the same amount: nothing varies to decide by."
            + (" Is one arm a copy of the other?" if not float(d.look.mean) else "")
        )
    found += _open(d, budget) if d.outcome == Outcome.UNDECIDED else []
    if cost and math.isfinite(cost.ratio):
        one, other = cost.seconds
        text = f"Training a seed of {d.candidate} took {other:.3g} s, of {d.baseline} {one:.3g} s"
        apart = abs(cost.ratio - 1) > 0.1
        found.append(
            f"{text}: {cost.ratio:.2f} times the time, if the machine was equally busy." if apart else f"{text}."
        )
    if cost:
        found.append(f"It rests on {count_noun(cost.seeds, 'seed')}, {cost.hours:.2g} hours of training in all.")
    if d.decided_after and d.pairs > d.decided_after and not d.identical:
        last = d.looks[-1]
        found.append(
            f"With all {int(last.healthy):,} pairs the difference is {decision_digits(d).signed(float(last.mean))} "
            f"({format_interval(d, last)}); the verdict is that of the first look that decided."
        )
    return found


def _size(d: Decision) -> list[str]:
    """Whether a verdict of better is one of `worth`, or whether nothing can be equivalent."""
    if d.worth is None:
        return ["Without worth= no verdict of equivalence is possible."] if d.outcome == Outcome.UNDECIDED else []
    if d.outcome not in (Outcome.BETTER, Outcome.WORSE) or d.means_outcome != d.outcome:
        return []
    least = min(abs(float(d.look.low)), abs(float(d.look.high)))
    return [f"At least worth={d.worth:g} is {'shown' if least >= d.worth else 'not shown, only that it is not 0'}."]


def _collapse(d: Decision) -> list[str]:
    """The rates of collapsed seeds, each with its interval, where there are any."""
    counts, pairs = [int(count) for count in d.looks[-1].collapsed], d.pairs
    if not any(counts):
        return []
    parts = []
    for name, count in zip((d.baseline, d.candidate), counts, strict=True):
        rate, (low, high) = st.collapse_rate(count, pairs)
        interval = f"{100 * low:.1f} to {100 * high:.1f} %"
        parts.append(f"{count} of {pairs} seeds of {name} ({100 * rate:.1f} %, 95 % {interval})")
    text = f"Collapsed or diverged: {' and '.join(parts)}; the means are of the other pairs."
    if d.decided_after and d.decided_after < pairs and any(map(int, d.look.collapsed)) != any(counts):
        text += f" When the verdict was there, after {d.decided_after} pairs, none had: it does not speak of these."
    if not all(counts) and d.outcome == Outcome.UNDECIDED:
        text += " Where only one arm collapses, no verdict is in its favour, and none is equivalent."
    return [text]


def _open(d: Decision, budget: int | None) -> list[str]:
    """What would decide."""
    if (more := d.pairs_to_come) is None or d.worth is None:
        return []
    largest = st.std_upper_limit(d.std, int(d.looks[-1].healthy))
    size = decision_digits(d).plain(largest)
    rows = "1 more row of each decides" if more == 1 else f"{more:,} more rows of each decide"
    how = rows if budget is None else f"budget={d.pairs + more} decides"
    truth = "whatever the difference" if d.is_plan_spent else f"where the true difference is 0 or {d.worth:g}"
    power = "" if d.is_plan_spent else f" with {100 * POWER:.0f} % power"
    return [
        f"{how}{power} {truth}, if the std of the differences is at most {size}: its upper 80 % limit, from "
        f"{int(d.looks[-1].healthy):,} pairs. The same command continues, at no cost in errors."
    ]


def level_note(contests: Sequence[Contest]) -> str:
    """The rate of errors that the verdicts keep, whatever the number of looks."""
    share = f", {ALPHA / len(contests):.3g} for each of {len(contests)} candidates" if len(contests) > 1 else ""
    return (
        f"At most {ALPHA:.0%} of such decisions are false, however often one looks and whenever one stops{share}. The "
        "interval is wider than that of a single look for this reason."
    )


def task_rows(contest: Contest) -> list[tuple[str, ...]]:
    """A row for each task: arms, pairs, difference, interval, verdict and p by Holm."""
    rows: list[tuple[str, ...]] = []
    for task, (outcome, p) in zip(contest.tasks, contest.task_verdicts(), strict=True):
        digits = decision_digits(task)
        difference = f"{digits.signed(float(task.look.mean))}{digits.difference_suffix}"
        arms = f"{task.candidate} against {task.baseline}"
        pairs = f"{task.decided_after or task.pairs}"
        rows.append((arms, pairs, difference, format_interval(task, task.look), WORDS[outcome], format_p_value(p)))
    return rows
