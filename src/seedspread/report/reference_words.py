"""A candidate against a published result or a target in words: the verdict, the table of numbers, and the notes."""

import numpy as np

from seedspread.decide.reference import PublishedComparison, TargetComparison
from seedspread.decide.verdict import ALPHA, LEAST_SEEDS, needs_caution
from seedspread.records.digits import Digits
from seedspread.report.study_words import count_noun, format_p_value
from seedspread.report.verdict_words import COLLAPSED, arm_notes, format_collapses, metric_before, worth_note

Found = PublishedComparison | TargetComparison


def reference_name(c: Found) -> str:
    """The number as it was typed, with its unit: "the published 90.02 ± 0.23 %", "94 %"."""
    unit = f" {c.metric.symbol}" if c.metric.symbol else ""
    if isinstance(c, PublishedComparison):
        return f"the published {c.published.mean:.10g} ± {c.published.std:.10g}{unit}"
    return f"{c.target:.10g}{unit}"


def reference_digits(c: Found) -> Digits:
    """How differences and means are written: by the standard error of the difference."""
    return Digits.of_error(c.metric, c.difference.error, float(np.abs(c.candidate.scores).max()))


def reference_sentence(c: Found) -> str:
    """The verdict in one sentence; where seeds collapsed their rate, where it is open what these seeds detect."""
    text = _published_verdict(c) if isinstance(c, PublishedComparison) else _target_verdict(c)
    arm = c.candidate
    if arm.collapsed:
        text = text if text.startswith(arm.name) else text[0].lower() + text[1:]
        text = f"Among the seeds that did not collapse, {text} {format_collapses(arm, f' of {arm.name} collapsed')}."
    if c.means_verdict not in ("not shown", "too few seeds"):
        return text
    able = reference_digits(c).difference(c.detectable)
    if isinstance(c, PublishedComparison):
        return f"{text} These seeds detect differences of at least {able} (power 80 %)."
    return f"{text} These seeds show it of a mean that is {able} better than the target (power 80 %)."


def _published_verdict(c: PublishedComparison) -> str:
    d = reference_digits(c)
    evidence = (
        f"{metric_before(c.metric)}{d.signed(c.difference.value)}{d.difference_suffix} "
        f"(95 % {d.signed_interval(*c.difference.interval)}{_direction(c)}; {deciding_test(c)}, "
        f"{format_p_value(c.difference.p)}{_adjusted(c)})"
    )
    name, other = c.candidate.name, reference_name(c)
    if c.means_verdict in ("better", "worse"):
        return f"{name} is {c.means_verdict} than {other}: {evidence}."
    if c.means_verdict == "equivalent":
        how = f"{c.towards} by less than" if c.p < ALPHA else "within"
        return f"{name} is equivalent to {other}, {how} {c.worth:g}: {evidence}."
    if c.means_verdict == "not shown":
        return f"No difference shown between {name} and {other}: {evidence}."
    return f"Too few seeds to compare {name} with {other}: {evidence}."


def _target_verdict(c: TargetComparison) -> str:
    d, misses = reference_digits(c), c.means_verdict == "does not reach"
    p = c.p_misses if misses else c.p_reaches
    adjusted = _adjusted(c) if p <= 0.5 else ""  # Holm's is of the side on which the mean is
    evidence = (
        f"mean {d.value(float(c.candidate.scores.mean()))} (95 % bound {format_bound(c, misses)}{_direction(c)}; "
        f"{deciding_test(c)}, {format_p_value(p)}{adjusted})"
    )
    name, target = c.candidate.name, f"{metric_before(c.metric)}{reference_name(c)}"
    if c.means_verdict == "reaches":
        return f"{name} reaches {target}: {evidence}."
    if misses:
        return f"{name} does not reach {target}: {evidence}."
    if c.means_verdict == "not shown":
        return f"{name} is not shown to reach {target}: {evidence}."
    return f"Too few seeds to say whether {name} reaches {target}: {evidence}."


def format_bound(c: TargetComparison, worst_case: bool) -> str:
    """The one-sided bound of the mean on its worse side, or with `worst_case` on its better: "at least 94.05"."""
    at_least = (c.metric.sign > 0) != worst_case
    low, high = c.bounds
    digits = reference_digits(c)
    return f"at least {digits.plain(low)}" if at_least else f"at most {digits.plain(high)}"


def _direction(c: Found) -> str:
    return f"; {c.metric.better}" if c.metric.sign < 0 else ""


def _adjusted(c: Found) -> str:
    return f", {format_p_value(c.p)} by Holm for {c.candidates} candidates" if c.candidates > 1 else ""


def deciding_test(c: Found) -> str:
    """The test that decides, with its numbers of seeds."""
    n = c.candidate.n
    if isinstance(c, TargetComparison):
        return f"one-sided t-test, {n:,} seeds"
    cautious = ", df of the smaller arm" if needs_caution(c.published.n, n) else ""
    return f"Welch's t-test, {c.published.n:,} published and {n:,} seeds{cautious}"


def reference_rows(c: Found) -> list[tuple[str, str]]:
    """The table of numbers behind the verdict: name and result."""
    d = reference_digits(c)
    table: list[tuple[str, str]] = []
    if isinstance(c, PublishedComparison):
        interval = f"95 % {d.signed_interval(*c.difference.interval)}"
        result = f"{d.signed(c.difference.value)}{d.difference_suffix} ({interval}), {format_p_value(c.difference.p)}"
        table.append((f"deciding test: {deciding_test(c)}", result))
    else:
        for misses, side, p in ((False, "worse", c.p_reaches), (True, "better", c.p_misses)):
            what = f"the mean is not {side} than the target: one-sided t-test"
            table.append((what, f"95 % bound {format_bound(c, misses)}{d.suffix}, {format_p_value(p)}"))
    if c.candidates > 1:
        table.append((f"p by Holm for {c.candidates} candidates", format_p_value(c.p)))
    if c.candidate.collapsed:
        table.append((f"collapsed seeds of {c.candidate.name}", format_collapses(c.candidate)))
    return table


def reference_notes(c: Found) -> list[str]:
    """What qualifies the verdict: what is unknown of the published runs, collapsed and few seeds, missing seeds."""
    arm, found = c.candidate, [COLLAPSED] if c.candidate.collapsed else []
    found += _published_notes(c) if isinstance(c, PublishedComparison) else _target_notes(c)
    if arm.n < LEAST_SEEDS:
        found.append(
            f"With {count_noun(arm.n, 'seed')} the t-test assumes normally distributed scores, which so few seeds "
            "cannot show."
        )
    if c.candidates > 1:
        kind = "interval" if isinstance(c, PublishedComparison) else "bound"
        found.append(f"Each {kind} is for one comparison; p-values by Holm allow for all.")
    if isinstance(c, PublishedComparison) and c.worth is not None and c.means_verdict in ("better", "worse"):
        found.append(worth_note(c.worth, c.difference, reference_digits(c)))
    return found + arm_notes(arm)


def _published_notes(c: PublishedComparison) -> list[str]:
    found = [
        "The published scores are unknown: nothing is paired or permuted, and a change of the test set, the hardware "
        "or the library counts as a difference.",
        "Whether published runs collapsed is unknown: their mean is taken as that of runs that did not.",
    ]
    if c.published.ddof == 0:
        found.append(
            f"The published std {c.published.std:.10g} divides by n={c.published.n:,}; that of a sample, by n-1, is "
            f"{c.published.sample_std:.4g}."
        )
    if c.published.n < LEAST_SEEDS <= c.candidate.n:
        runs = count_noun(c.published.n, "published run")
        found.append(f"With {runs} the t-test assumes that these are normally distributed.")
    return found


def _target_notes(c: TargetComparison) -> list[str]:
    worse = "lower" if c.metric.sign > 0 else "higher"
    return [
        f"The bound is over seeds, on the same test data. Of few seeds with a long tail of {worse} scores, the t-test "
        "finds a target reached too often."
    ]
