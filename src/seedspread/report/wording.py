"""What a study's scores say: its numbers, and the three questions of Picard 2021 answered in words that follow them."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from seedspread import statistics as st
from seedspread.config.identity import flatten
from seedspread.config.overrides import shorten_seeds
from seedspread.records.record import Status
from seedspread.records.scores import Scores
from seedspread.report.findings import Findings
from seedspread.statistics.spread import Array, Interval

NOT_CHANCE = 0.05
FAR_ABOVE = 5  # times the typical gradient norm
EARLY = 10  # the first of so many parts of the training
TITLE_SEED = 3407


def shortcomings(scores: Scores) -> list[str]:
    """What of a study is missing, diverged, failed, damaged or mixed, in sentences; none where nothing is."""
    lines = []
    asked = len(scores.missing) + len(scores.records)
    if scores.missing:
        lines.append(
            f"{len(scores.missing):,} of {asked:,} seeds asked for have no record yet: {shorten_seeds(scores.missing)}."
        )
    for status, what in (
        (Status.DIVERGED, "their loss was not finite"),
        (Status.FAILED, "they raised an exception"),
    ):
        if seeds := scores.reasons(status):
            reasons = Counter(seeds.values()).most_common(3)
            why = "; ".join(f"{reason} ({count})" for reason, count in reasons)
            lines.append(
                f"{len(seeds):,} {status} ({what}) and not in these numbers: seed {shorten_seeds(list(seeds))}: {why}."
            )
    for name, why in list(scores.problems.items())[:10]:
        lines.append(f"Not counted: seeds/{name}: {why}.")
    if len(scores.problems) > 10:
        lines.append(f"Not counted: {len(scores.problems) - 10:,} more files.")
    if unread := [seed for seed in scores.seeds.tolist() if seed not in scores.correct]:
        of = f"{len(unread):,} of {len(scores.seeds):,} seeds"
        lines.append(f"The predictions of {of} are missing or damaged: seed {shorten_seeds(unread)}.")
    mixed = [key for key, values in scores.environments.items() if len(values) > 1]
    if mixed:
        lines.append(f"Seeds ran in different environments: {', '.join(mixed)}.")
    return lines


def format_interval(interval: Interval) -> str:
    """An interval as it stands in a sentence, with a third decimal where two would blur it."""
    decimals = 2 if interval.high - interval.low >= 0.1 else 3
    return f"{interval.low:.{decimals}f} to {interval.high:.{decimals}f}"


def format_p_value(p: float) -> str:
    """A p-value as papers write it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def headline(found: Findings) -> str:
    """The study in one sentence."""
    s = found.scores
    if found.n == 1:
        return f"{found.name}: {found.mean:.2f} % with seed {s.best}, the only one; a spread needs more seeds."
    if not found.std:
        return f"{found.name}: all {found.n:,} seeds score {found.mean:.2f} %."
    return (
        f"{found.name}: {found.mean:.2f} ± {found.std:.2f} % over {found.n:,} seeds, and "
        f"{found.max - found.min:.2f} points between the unluckiest (seed {s.worst}: {found.min:.2f}) and the luckiest "
        f"(seed {s.best}: {found.max:.2f})."
    )


def distribution(found: Findings) -> list[str]:
    """Question 1: how are the scores distributed over seeds?"""
    if found.n == 1:
        return ["One seed cannot say. Train more: the same command with `-m 'seed=range(0,20)'`."]
    if not found.std:
        return [f"{headline(found)} There is no spread to describe."]
    parts = [
        f"{found.name}: {found.n:,} seeds reach {found.mean:.2f} ± {found.std:.2f} % (mean and sample standard "
        f"deviation), from {found.min:.2f} to {found.max:.2f}."
    ]
    if math.isnan(found.std_interval.low):
        parts.append(
            f"The mean lies in {format_interval(found.mean_interval)} (95 %); {_too_few(found)} to bound the std."
        )
    else:
        parts.append(
            f"95 % intervals: the mean from {format_interval(found.mean_interval)}, the std from "
            f"{format_interval(found.std_interval)}."
        )
    return [" ".join(parts), _shape(found), _test_set(found), _late(found)]


def _too_few(found: Findings) -> str:
    return f"{found.n} seed{'s are' if found.n > 1 else ' is'} too few"


def _shape(found: Findings) -> str:
    if found.shape is None:
        return f"{_too_few(found)} to say how they are shaped."
    s = found.shape
    told = f"{s.test} {format_p_value(s.p)}, skewness {s.skewness:+.2f}, excess kurtosis {s.kurtosis:+.2f}"
    if s.p >= NOT_CHANCE:
        caution = f"; {found.n} seeds would show only a gross departure" if found.n < 50 else ""
        return f"Nothing speaks against a normal distribution ({told}){caution}."
    tails = []
    if abs(s.skewness) > 2 * math.sqrt(6 / found.n):
        tails.append(f"the tail of {'low' if s.skewness < 0 else 'high'} scores is the longer one")
    if abs(s.kurtosis) > 2 * math.sqrt(24 / found.n):
        tails.append(f"the tails are {'heavier' if s.kurtosis > 0 else 'lighter'} than a normal distribution's")
    if not tails and found.step > found.std / 4:
        tails.append(f"accuracies come in steps of {found.step:.2f} points")
    strength = "They are not normally distributed" if s.p < 0.001 else "The test speaks against a normal distribution"
    return f"{strength} ({told})" + (f": {' and '.join(tails)}." if tails else ".")


def _test_set(found: Findings) -> str:
    return (
        f"The test set is itself a sample: its {found.scores.examples:,} examples give each score a standard error of "
        f"{_standard_error(found):.2f} points."
    )


def _late(found: Findings) -> str:
    epochs, start = len(found.scores.epochs), found.flat_from + 1
    if math.isnan(found.late_ratio):
        why = f"{found.n} seeds" if found.n < 10 else f"{epochs - found.flat_from} of {epochs} epochs"
        where = "" if found.n < 10 else " with a flat mean curve"
        return f"Whether the spread would fall with longer training cannot be said from {why}{where}."
    low, high = found.late_interval
    told = (
        f"From epoch {start} of {epochs} on the mean curve is flat (within half a std of its end). The std "
        f"of its second half is {found.late_ratio:.2f} times that of its first (95 %: "
        f"{format_interval(found.late_interval)}): "
    )
    if high < 1:
        return told + "the spread was still falling."
    return told + ("the spread rises." if low > 1 else "nothing shows that longer training shrinks the spread.")


def black_swans(found: Findings) -> list[str]:
    """Question 2: are there seeds that are surprisingly good or bad?"""
    s = found.scores
    if found.n < 5 or not found.std:
        if found.n >= 5:
            return [f"{found.name}: all {found.n:,} scores are equal: no seed is surprising."]
        return [f"{found.name}: {_too_few(found)} to tell a surprising seed from an ordinary one."]
    below, above = (found.mean - found.min) / found.std, (found.max - found.mean) / found.std
    expected, expected_range = st.expected_extreme(found.n)
    told = (
        f"{found.name}: the worst seed ({s.worst}) lies {below:.2f} std below the mean, the best ({s.best}) "
        f"{above:.2f} above. The extreme of {found.n:,} draws from a normal distribution lies {expected:.2f} std away "
        f"on average, in 95 % of cases {format_interval(expected_range)}."
    )
    not_normal = found.shape is not None and found.shape.p < NOT_CHANCE
    if len(found.outliers):
        far = [s.accuracy[i] - found.median for i in found.outliers]
        seeds = shorten_seeds(sorted(int(s.seeds[i]) for i in found.outliers))
        verdict = (
            f"Seed {seeds} stand{'s' if len(far) == 1 else ''} out (Rosner's test at 5 %), {_span(far)} the median: "
            + ("black swans, or the longer tail of scores that are not normal." if not_normal else "black swans.")
        )
    else:
        tests = f"Grubbs' test: {format_p_value(found.p_min)} for the worst, {format_p_value(found.p_max)} for the best"
        verdict = f"Neither is surprising ({tests}): no black swan is shown."
        if not_normal:
            verdict += " The test takes the scores for normal, which they do not seem to be."
    unseen = st.unseen_rate(found.n)
    rare = f"What befalls fewer than one seed in {1 / unseen:,.0f} may well have been missed by {found.n:,}."
    return [told, f"{verdict} {rare}", *_title_seed(found)]


def _span(away: Sequence[float]) -> str:
    """How far outliers lie from the median: "0.90 to 3.20 points below", "up to 0.90 points below and 1.40 above"."""
    low, high = min(away), max(away)
    if low * high < 0:
        return f"up to {-low:.2f} points below and {high:.2f} above"
    near, far = sorted((abs(low), abs(high)))
    span = f"{far:.2f}" if f"{near:.2f}" == f"{far:.2f}" else f"{near:.2f} to {far:.2f}"
    return f"{span} points {'below' if high < 0 else 'above'}"


def _title_seed(found: Findings) -> list[str]:
    at = np.flatnonzero(found.scores.seeds == TITLE_SEED)
    if not len(at):
        return []
    score = found.scores.accuracy[at[0]]
    better = int((found.scores.accuracy > score).sum())
    return [
        f"Seed {TITLE_SEED}, of the paper's title, reaches {score:.2f} %: {better:,} of {found.n:,} seeds are better."
    ]


def pretraining(several: Sequence[Findings]) -> list[str]:
    """Question 3: does pretraining shrink the spread? From every pair of a probe and a study trained from scratch."""
    probes = [found for found in several if found.pretrained]
    scratch = [found for found in several if not found.pretrained]
    if not probes or not scratch:
        kind = "trained from scratch" if probes else "on a pretrained backbone"
        here = "these" if len(several) > 1 else "this one"
        return [
            f"This needs a study {kind} beside {here}, each of at least 5 seeds: "
            "`seedspread report 'study=[ONE,OTHER]'` compares their spreads."
        ]
    return [
        _compared(probe, other, "pretraining shrinks the spread", "with pretraining the spread is larger")
        for probe in probes
        for other in scratch
        if _has_spread(probe) and _has_spread(other)
    ] + [_no_spread(found) for found in several if not _has_spread(found)]


def _has_spread(found: Findings) -> bool:
    return found.n >= 5 and bool(found.std)


def _no_spread(found: Findings) -> str:
    why = "all score the same" if found.n >= 5 else "at least 5 are needed"
    return f"{found.name} has {found.n} finished seed{'s' * (found.n > 1)}: {why}, its spread cannot be compared."


def spreads(several: Sequence[Findings]) -> list[str]:
    """Whether the spreads of several studies differ: all at once, and pair by pair."""
    enough = [found for found in several if _has_spread(found)]
    left_out = [_no_spread(found) for found in several if not _has_spread(found)]
    if len(enough) < 2:
        return left_out
    p = st.brown_forsythe([found.scores.accuracy for found in enough])
    verdict = "they differ" if p < NOT_CHANCE else "no difference is shown"
    names = ", ".join(found.name for found in enough)
    pairs = combinations(enough, 2) if len(enough) <= 4 else ((enough[0], other) for other in enough[1:])
    return [
        f"Spreads of {names}: {verdict} (Brown-Forsythe {format_p_value(p)}).",
        *(_compared(b, a, f"{b.name} spreads less", f"{b.name} spreads more") for a, b in pairs),
        *left_out,
    ]


def _compared(one: Findings, other: Findings, less: str, more: str) -> str:
    ratio, interval = st.std_ratio(one.scores.accuracy, other.scores.accuracy)
    told = (
        f"The std of {one.name} ({one.std:.2f}, {one.n:,} seeds) is {ratio:.2f} times that of {other.name} "
        f"({other.std:.2f}, {other.n:,} seeds), 95 % interval {format_interval(interval)}: "
    )
    p = st.brown_forsythe([one.scores.accuracy, other.scores.accuracy])
    differs = not interval.low <= 1 <= interval.high
    if differs and p < NOT_CHANCE:
        told += less if interval.high < 1 else more
    elif differs or p < NOT_CHANCE:
        told += f"a close call, since Brown-Forsythe says {format_p_value(p)}; more seeds would settle it"
    else:
        told += f"these seeds do not show a difference (Brown-Forsythe {format_p_value(p)})"
    others = _other_differences(one, other)
    return told + (f". They differ in more than that: {'; '.join(others)}." if others else ".")


def _other_differences(one: Findings, other: Findings) -> list[str]:
    parts = []
    ours, theirs = (dict(flatten(found.scores.study.config)).get("data.name") for found in (one, other))
    if ours != theirs:
        parts.append(f"they learn from other data ({ours}, {theirs})")
    if abs(one.mean - other.mean) > 1:
        parts.append(
            f"at {one.mean:.1f} % and {other.mean:.1f} % accuracy the test examples alone give standard errors of "
            f"{_standard_error(one):.2f} and {_standard_error(other):.2f} points"
        )
    if one.scores.examples != other.scores.examples:
        parts.append(f"the test sets have {one.scores.examples:,} and {other.scores.examples:,} examples")
    return parts


def _standard_error(found: Findings) -> float:
    p = found.mean / 100
    return 100 * math.sqrt(p * (1 - p) / found.scores.examples)


def stability(found: Findings) -> list[str]:
    """Whether warm-up or clipping is indicated, from gradient norms; how to record them where curves are unstable.

    After the Deep Learning Tuning Playbook (Godbole et al. 2023, "How can optimization failures be debugged and
    mitigated?"): norms far above the typical ones early in training call for warm-up, later ones for clipping, from the
    90th percentile on. Empty where nothing was recorded and nothing is amiss.
    """
    s, config = found.scores, dict(flatten(found.scores.study.config))
    diverged, restless = list(s.reasons(Status.DIVERGED)), _restless(found)
    amiss = [f"{len(diverged):,} diverged (seed {shorten_seeds(diverged)})"] if diverged else []
    if restless:
        amiss.append(
            f"the training loss of {len(restless):,} rises again by half of its fall (seed {shorten_seeds(restless)})"
        )
    trouble = f"of {found.n + len(diverged):,} seeds {' and '.join(amiss)}." if amiss else ""
    largest, high = s.complete_curves("grad_norm/max"), s.complete_curves("grad_norm/p90")
    if not len(high):
        how = (
            "Gradient norms say whether warm-up or clipping would help: the same command with "
            "`callbacks=gradient_norms overwrite=true` records them, with the same weights."
        )
        return [f"{found.name}: {trouble} {how}"] if amiss else []
    typical, early = float(np.median(high)), max(1, largest.shape[1] // EARLY)
    norms = [*largest, *_norms_until_diverged(found)]
    begins = [bool((row[:early] > FAR_ABOVE * typical).any()) for row in norms]
    later = [bool((row[early:] > FAR_ABOVE * typical).any()) for row in norms]
    told = (
        f"{found.name}: the 90th percentile of an epoch's gradient norms is {typical:.3g} (median over epochs and "
        f"{len(high):,} seed{'s' * (len(high) > 1)}); the largest norm of the first "
        f"{'epoch' if early == 1 else f'{early} epochs'} is {largest[:, :early].max() / typical:.1f} times that"
    )
    told += f", of the later ones {largest[:, early:].max() / typical:.1f} times." if largest.shape[1] > early else "."
    verdicts = [trouble[:1].upper() + trouble[1:]] if amiss else []
    if any(begins):
        rise = config.get("schedule.warmup") or config.get("schedule.lr_lambda.rise")
        how = f"longer than the {rise:g} epochs it has, or a smaller rate" if rise else "`schedule=warmup_cosine`"
        verdicts.append(f"Early norms of {sum(begins):,} over {FAR_ABOVE} times the typical call for warm-up: {how}.")
    if any(later):
        clip = config.get("trainer.gradient_clip_val")
        how = f"`trainer.gradient_clip_val={typical:.2g}`" + (f" in place of {clip:g}" if clip else "")
        verdicts.append(f"Later norms of {sum(later):,} over {FAR_ABOVE} times the typical call for clipping: {how}.")
    if not any(begins) and not any(later):
        verdicts.append(
            "No norm stands out: try a smaller rate." if amiss else "These norms call for neither warm-up nor clipping."
        )
    return [" ".join([told, *verdicts])]


def _norms_until_diverged(found: Findings) -> list[Array]:
    """The largest gradient norms of each epoch of diverged seeds that have them; those not finite are infinite."""
    records = (r for r in found.scores.records.values() if r.status == Status.DIVERGED)
    lines = (record.curves.get("grad_norm/max", []) for record in records)
    return [np.array([math.inf if norm is None else norm for norm in line]) for line in lines]


def _restless(found: Findings) -> list[int]:
    """Seeds whose training loss rises from its lowest so far by half of its fall, and by 5 % of the first epoch's."""
    losses = found.scores.curves["train/loss"]
    lowest, first = np.minimum.accumulate(losses, axis=1), losses[:, :1]
    rises = losses - lowest > np.maximum((first - lowest) / 2, np.abs(first) / 20)
    return sorted(found.scores.seeds[rises.any(axis=1)].tolist())
