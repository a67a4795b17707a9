"""A study in words: its shortcomings, its headline, and answers to the three questions of Picard 2021.

Each sentence follows from numbers: the answer first, then the numbers, then the caveat.
"""

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
from seedspread.statistics import Array, Interval

ALPHA = 0.05
LARGE_NORM = 5  # times the typical gradient norm
EARLY_PARTS = 10  # the first of so many equal parts of the training is early
TITLE_SEED = 3407  # "torch.manual_seed(3407) is all you need" (Picard 2021)


def shortcomings(scores: Scores) -> list[str]:
    """The missing, diverged, failed, damaged and mixed parts of a study, in sentences; empty where it is complete."""
    lines = []
    requested = len(scores.missing) + len(scores.records)
    if scores.missing:
        lines.append(
            f"{len(scores.missing):,} of {requested:,} requested seeds have no record yet: "
            f"{shorten_seeds(scores.missing)}."
        )
    for status, what in ((Status.DIVERGED, "the loss was not finite"), (Status.FAILED, "an exception was raised")):
        if seeds := scores.reasons(status):
            reasons = "; ".join(f"{reason} ({count})" for reason, count in Counter(seeds.values()).most_common(3))
            lines.append(
                f"{count_noun(len(seeds), 'seed')} {status} ({what}), excluded from all numbers: "
                f"seed {shorten_seeds(list(seeds))}: {reasons}."
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


def count_noun(n: int, noun: str) -> str:
    """A count with its noun: "1 seed", "2,000 seeds"."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def format_interval(interval: Interval) -> str:
    """An interval for a sentence: two decimals, three where it is narrower than 0.1."""
    decimals = 2 if interval.high - interval.low >= 0.1 else 3
    return f"{interval.low:.{decimals}f} to {interval.high:.{decimals}f}"


def format_p_value(p: float) -> str:
    """A p-value as papers write it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def headline(found: Findings) -> str:
    """The study in one sentence."""
    s = found.scores
    if found.n == 1:
        return f"{found.name}: {found.mean:.2f} % with seed {s.best} alone; a spread needs at least 2 seeds."
    if not found.std:
        return f"{found.name}: all {found.n:,} seeds score {found.mean:.2f} %."
    return (
        f"{found.name}: {found.mean:.2f} ± {found.std:.2f} % over {found.n:,} seeds, "
        f"{found.max - found.min:.2f} points between the worst (seed {s.worst}: {found.min:.2f} %) and the best "
        f"(seed {s.best}: {found.max:.2f} %)."
    )


def distribution(found: Findings) -> list[str]:
    """Question 1: how are the scores distributed over seeds?"""
    if found.n == 1:
        return ["One seed has no distribution. Train more: the same command with `-m 'seed=range(0,20)'`."]
    if not found.std:
        return [f"{headline(found)} There is no spread to describe."]
    values = (
        f"{found.name}: mean {found.mean:.2f} %, sample standard deviation {found.std:.2f} points over {found.n:,} "
        f"seeds, range {found.min:.2f} to {found.max:.2f}."
    )
    mean = format_interval(found.mean_interval)
    if found.std_interval.is_known:
        intervals = f"95 % intervals: mean {mean}, std {format_interval(found.std_interval)}."
    else:
        intervals = f"95 % interval of the mean: {mean}; {_too_few(found)} to bound the std."
    return [f"{values} {intervals}", _shape(found), _test_set(found), _late_spread(found)]


def _too_few(found: Findings) -> str:
    return f"{found.n} seed{'s are' if found.n > 1 else ' is'} too few"


def _shape(found: Findings) -> str:
    if found.shape is None:
        return f"{_too_few(found)} to test the shape of the distribution."
    s = found.shape
    evidence = f"{s.test} {format_p_value(s.p)}, skewness {s.skewness:+.2f}, excess kurtosis {s.kurtosis:+.2f}"
    if s.p >= ALPHA:
        caution = f"; {found.n} seeds would show only a gross departure" if found.n < 50 else ""
        return f"The scores are compatible with a normal distribution ({evidence}){caution}."
    tails = []
    if abs(s.skewness) > 2 * math.sqrt(6 / found.n):
        tails.append(f"the tail of {'low' if s.skewness < 0 else 'high'} scores is the longer one")
    if abs(s.kurtosis) > 2 * math.sqrt(24 / found.n):
        tails.append(f"the tails are {'heavier' if s.kurtosis > 0 else 'lighter'} than a normal distribution's")
    if not tails and found.step > found.std / 4:
        tails.append(f"accuracies come in steps of {found.step:.2f} points")
    verdict = "The scores are not normally distributed" if s.p < 0.001 else "The test rejects a normal distribution"
    return f"{verdict} ({evidence})" + (f": {' and '.join(tails)}." if tails else ".")


def _test_set(found: Findings) -> str:
    return (
        f"The test set is a sample too: its {found.scores.examples:,} examples give each score a standard error of "
        f"{_standard_error(found):.2f} points."
    )


def _late_spread(found: Findings) -> str:
    epochs, start = len(found.scores.epochs), found.flat_from + 1
    if math.isnan(found.late_ratio):
        if found.n < 10:
            why = f"{found.n} seeds are too few"
        else:
            why = f"the mean curve is flat in only {epochs - found.flat_from} of {epochs} epochs"
        return f"Whether longer training would reduce the spread is unknown: {why}."
    low, high = found.late_interval
    if high < 1:
        verdict = "The spread was still falling at the end of training"
    elif low > 1:
        verdict = "The spread rises late in training"
    else:
        verdict = "Longer training is not shown to reduce the spread"
    return (
        f"{verdict}: the mean curve is flat from epoch {start} of {epochs} (within half a std of its last value), and "
        f"the std in the second half of these epochs is {found.late_ratio:.2f} times that in the first (95 %: "
        f"{format_interval(found.late_interval)})."
    )


def black_swans(found: Findings) -> list[str]:
    """Question 2: are there seeds that are surprisingly good or bad?"""
    s = found.scores
    if found.n < 5:
        return [f"{found.name}: {_too_few(found)} to identify a surprising seed."]
    if not found.std:
        return [f"{found.name}: all {found.n:,} scores are equal: no seed is surprising."]
    below, above = (found.mean - found.min) / found.std, (found.max - found.mean) / found.std
    expected, expected_range = st.expected_extreme(found.n)
    not_normal = found.shape is not None and found.shape.p < ALPHA
    if len(found.outliers):
        away = [s.accuracy[i] - found.median for i in found.outliers]
        seeds = shorten_seeds(sorted(int(s.seeds[i]) for i in found.outliers))
        verdict = (
            f"seed {seeds} stand{'s' * (len(away) == 1)} out (Rosner's test at 5 %), {_span(away)} the median: "
            f"{'a black swan' if len(away) == 1 else 'black swans'}"
            + (", or the longer tail of a distribution that is not normal." if not_normal else ".")
        )
    else:
        tests = f"Grubbs' test: {format_p_value(found.p_min)} for the worst, {format_p_value(found.p_max)} for the best"
        verdict = f"no black swan is shown: neither extreme is surprising ({tests})."
        if not_normal:
            verdict += " The test assumes normal scores, and these do not look normal."
    evidence = (
        f"The worst seed ({s.worst}) lies {below:.2f} std below the mean, the best ({s.best}) {above:.2f} above. The "
        f"extreme of {found.n:,} draws from a normal distribution lies {expected:.2f} std away on average, in 95 % of "
        f"cases {format_interval(expected_range)}."
    )
    rate = 1 / st.unseen_rate(found.n)
    rare = f"Events in fewer than one seed in {rate:,.0f} may be absent from a sample of {found.n:,}."
    return [f"{found.name}: {verdict}", f"{evidence} {rare}", *_title_seed(found)]


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
        f"Seed {TITLE_SEED}, from the paper's title, reaches {score:.2f} %: {better:,} of {found.n:,} seeds are better."
    ]


def pretraining(several: Sequence[Findings]) -> list[str]:
    """Question 3: does pretraining shrink the spread? From every pair of a probe and a study trained from scratch."""
    probes = [found for found in several if found.pretrained]
    scratch = [found for found in several if not found.pretrained]
    if not probes or not scratch:
        kind = "trained from scratch" if probes else "on a pretrained backbone"
        return [
            f"Unknown: the answer needs a study {kind} as well, each with at least 5 seeds: "
            "`seedspread report 'study=[ONE,OTHER]'` compares their spreads."
        ]
    return [
        _compare_stds(probe, other, "Pretraining shrinks the spread", "With pretraining the spread is larger")
        for probe in probes
        for other in scratch
        if _has_spread(probe) and _has_spread(other)
    ] + [_no_spread(found) for found in several if not _has_spread(found)]


def _has_spread(found: Findings) -> bool:
    return found.n >= 5 and bool(found.std)


def _no_spread(found: Findings) -> str:
    why = "all score the same" if found.n >= 5 else "at least 5 are needed"
    return f"The spread of {found.name} cannot be compared: {count_noun(found.n, 'finished seed')}, {why}."


def spreads(several: Sequence[Findings]) -> list[str]:
    """Whether the spreads of several studies differ: all at once, and pair by pair."""
    enough = [found for found in several if _has_spread(found)]
    left_out = [_no_spread(found) for found in several if not _has_spread(found)]
    if len(enough) < 2:
        return left_out
    p = st.brown_forsythe([found.scores.accuracy for found in enough])
    verdict = "The spreads differ" if p < ALPHA else "No difference between the spreads is shown"
    names = ", ".join(found.name for found in enough)
    pairs = combinations(enough, 2) if len(enough) <= 4 else ((enough[0], other) for other in enough[1:])
    return [
        f"{verdict} (Brown-Forsythe {format_p_value(p)}): {names}.",
        *(_compare_stds(b, a, f"{b.name} spreads less", f"{b.name} spreads more") for a, b in pairs),
        *left_out,
    ]


def _compare_stds(one: Findings, other: Findings, less: str, more: str) -> str:
    """Whether the std of `one` is smaller or larger than that of `other`, with the answers `less` and `more`."""
    ratio, interval = st.std_ratio(one.scores.accuracy, other.scores.accuracy)
    p = st.brown_forsythe([one.scores.accuracy, other.scores.accuracy])
    differs = not interval.low <= 1 <= interval.high
    if differs and p < ALPHA:
        verdict = less if interval.high < 1 else more
    elif differs or p < ALPHA:
        verdict = "A close call, which needs more seeds"
    else:
        verdict = "No difference shown"
    evidence = (
        f"{verdict}: the std of {one.name} ({one.std:.2f}, {one.n:,} seeds) is {ratio:.2f} times that of {other.name} "
        f"({other.std:.2f}, {other.n:,} seeds), 95 % interval {format_interval(interval)}, Brown-Forsythe "
        f"{format_p_value(p)}."
    )
    others = _other_differences(one, other)
    return evidence + (f" The studies also differ otherwise: {'; '.join(others)}." if others else "")


def _other_differences(one: Findings, other: Findings) -> list[str]:
    parts = []
    ours, theirs = (dict(flatten(found.scores.study.config)).get("data.name") for found in (one, other))
    if ours != theirs:
        parts.append(f"the data are {ours} and {theirs}")
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
    """Whether gradient norms call for warm-up or clipping; how to record them where curves are unstable.

    After the Deep Learning Tuning Playbook (Godbole et al. 2023, "How can optimization failures be debugged and
    mitigated?"): norms far above the typical ones early in training call for warm-up, later ones for clipping at the
    90th percentile. Empty where no norms are recorded and no seed is unstable.
    """
    s, config = found.scores, dict(flatten(found.scores.study.config))
    diverged, unstable = list(s.reasons(Status.DIVERGED)), _unstable_seeds(found)
    trouble = [f"{len(diverged):,} diverged (seed {shorten_seeds(diverged)})"] if diverged else []
    if unstable:
        trouble.append(
            f"the training loss of {len(unstable):,} rises again by half of its fall (seed {shorten_seeds(unstable)})"
        )
    verdicts = [f"Of {found.n + len(diverged):,} seeds {' and '.join(trouble)}."] if trouble else []
    largest, high = s.complete_curves("grad_norm/max"), s.complete_curves("grad_norm/p90")
    if not len(high):
        how = (
            "Gradient norms show whether warm-up or clipping would help: the same command with "
            "`callbacks=gradient_norms overwrite=true` records them and trains the same weights."
        )
        return [f"{found.name}: {' '.join(verdicts)} {how}"] if trouble else []
    typical, early = float(np.median(high)), max(1, largest.shape[1] // EARLY_PARTS)
    norms = [*largest, *_norms_until_diverged(found)]
    large_early = sum(bool((row[:early] > LARGE_NORM * typical).any()) for row in norms)
    large_later = sum(bool((row[early:] > LARGE_NORM * typical).any()) for row in norms)
    if large_early:
        rise = config.get("schedule.warmup") or config.get("schedule.lr_lambda.rise")
        how = f"a warm-up longer than {rise:g} epochs, or a smaller rate" if rise else "`schedule=warmup_cosine`"
        verdicts.append(
            f"Use warm-up ({how}): early norms of {count_noun(large_early, 'seed')} exceed {LARGE_NORM} times the "
            "typical norm."
        )
    if large_later:
        clip = config.get("trainer.gradient_clip_val")
        how = f"`trainer.gradient_clip_val={typical:.2g}`" + (f" instead of {clip:g}" if clip else "")
        verdicts.append(
            f"Use clipping ({how}): later norms of {count_noun(large_later, 'seed')} exceed {LARGE_NORM} times the "
            "typical norm."
        )
    if not large_early and not large_later:
        verdicts.append(
            "No norm stands out: try a smaller rate." if trouble else "Neither warm-up nor clipping is needed."
        )
    evidence = (
        f"The typical norm, the 90th percentile of an epoch, is {typical:.3g} (median over epochs and "
        f"{count_noun(len(high), 'seed')}); the largest norm of the first "
        f"{'epoch' if early == 1 else f'{early} epochs'} is {largest[:, :early].max() / typical:.1f} times that"
    )
    if largest.shape[1] > early:
        evidence += f", of the later ones {largest[:, early:].max() / typical:.1f} times"
    return [f"{found.name}: {' '.join(verdicts)} {evidence}."]


def _norms_until_diverged(found: Findings) -> list[Array]:
    """The largest gradient norms of each epoch of diverged seeds that have them; those not finite are infinite."""
    records = (r for r in found.scores.records.values() if r.status == Status.DIVERGED)
    lines = (record.curves.get("grad_norm/max", []) for record in records)
    return [np.array([math.inf if norm is None else norm for norm in line]) for line in lines]


def _unstable_seeds(found: Findings) -> list[int]:
    """Seeds whose training loss rises above its minimum by half of the fall to it, and by 5 % of the first loss."""
    losses = found.scores.curves["train/loss"]
    lowest, first = np.minimum.accumulate(losses, axis=1), losses[:, :1]
    rises = losses - lowest > np.maximum((first - lowest) / 2, np.abs(first) / 20)
    return sorted(found.scores.seeds[rises.any(axis=1)].tolist())
