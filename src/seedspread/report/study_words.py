"""A study in words: its shortcomings, its headline, and answers to the three questions of Picard 2021.

Each sentence follows from numbers: the answer first, then the numbers, then the caveat.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from seedspread import statistics as st
from seedspread.config.identity import flatten
from seedspread.config.overrides import shorten_seeds
from seedspread.records.record import Status
from seedspread.records.scores import Scores
from seedspread.report.findings import Findings
from seedspread.report.labels import name_before
from seedspread.statistics import Array, Interval

ALPHA = 0.05
LARGE_NORM = 5  # times the typical gradient norm
EARLY_PARTS = 10  # the first of so many equal parts of the training is early
TITLE_SEED = 3407  # "torch.manual_seed(3407) is all you need" (Picard 2021)


def left_out(scores: Scores) -> list[str]:
    """The missing, diverged, failed and damaged seeds of a study, in sentences; empty where every seed counts."""
    lines = []
    requested = len(scores.missing) + len(scores.records)
    if scores.missing:
        lines.append(
            f"{len(scores.missing):,} of {requested:,} requested seeds have no record yet: "
            f"{shorten_seeds(scores.missing)}."
        )
    for status, what in (
        (Status.DIVERGED, "a loss or score not finite"),
        (Status.FAILED, "an exception was raised"),
    ):
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
    return lines


def shortcomings(scores: Scores) -> list[str]:
    """What is left out, missing predictions and mixed environments, in sentences; empty where a study is complete."""
    lines = left_out(scores)
    if unread := scores.unread:
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
    s, d, what = found.scores, found.digits, name_before(found.scores)
    if found.n == 1:
        return f"{found.name}: {what}{d.value(found.mean)} with seed {s.best} alone; a spread needs at least 2 seeds."
    if not found.std:
        return f"{found.name}: all {found.n:,} seeds score {what}{d.value(found.mean)}."
    worst, best = (found.min, found.max) if s.metric.sign > 0 else (found.max, found.min)
    return (
        f"{found.name}: {what}{d.plus_minus(found.mean, found.std)}{d.suffix} over {found.n:,} seeds, "
        f"{d.difference(found.max - found.min)} between the worst (seed {s.worst}: {d.value(worst)}) and the best "
        f"(seed {s.best}: {d.value(best)})."
    )


def collapses(found: Findings) -> list[str]:
    """How many seeds collapsed, as a rate with its interval, and which; empty where none did."""
    if not (count := len(found.collapsed)):
        return []
    rate, (low, high) = st.collapse_rate(count, found.runs)
    lost = found.whole.final[np.isin(found.whole.seeds, found.collapsed)]
    how = ""
    if len(lost):
        d = found.digits
        how = f", {len(lost):,} of them at {d.plain(lost.min())}"
        how += f" to {d.value(lost.max())}" if len(lost) > 1 else d.suffix
    if diverged := count - len(lost):
        how += f", {diverged:,} of them diverged"
    return [
        f"{found.name}: {count:,} of {found.runs:,} seeds collapsed, {100 * rate:.1f} % (95 %: {100 * low:.1f} to "
        f"{100 * high:.1f} %){how}: seed {shorten_seeds(found.collapsed)}. All other numbers are of the "
        f"{found.n:,} seeds that did not. A seed has collapsed if it diverged or scores more than 20 robust standard "
        "deviations worse than the median."
    ]


def distribution(found: Findings) -> list[str]:
    """Question 1: how are the scores distributed over seeds?"""
    if found.n == 1:
        kind = found.scores.study.kind
        more = "Train more: the same command with `-m 'seed=range(0,20)'`" if kind == "config" else "Add seeds"
        return [f"One seed has no distribution. {more}."]
    if not found.std:
        return [f"{headline(found)} There is no spread to describe."]
    d = found.digits
    values = (
        f"{found.name}: {name_before(found.scores)}mean {d.value(found.mean)}, sample standard deviation "
        f"{d.difference(found.std)} over {found.n:,} seeds, range {d.plain(found.min)} to {d.plain(found.max)}."
    )
    mean = d.interval(*found.mean_interval)
    if found.std_interval.is_known:
        intervals = f"95 % intervals: mean {mean}, std {d.interval(*found.std_interval)}."
    else:
        intervals = f"95 % interval of the mean: {mean}; {_too_few(found)} to bound the std."
    lines = [f"{values} {intervals}", _shape(found), _test_set(found), _lengths(found.scores), _late_spread(found)]
    return [line for line in lines if line]


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
        tails.append(f"accuracies come in steps of {found.digits.difference(found.step)}")
    verdict = "The scores are not normally distributed" if s.p < 0.001 else "The test rejects a normal distribution"
    return f"{verdict} ({evidence})" + (f": {' and '.join(tails)}." if tails else ".")


def _test_set(found: Findings) -> str:
    if found.scores.examples is None:
        return ""
    return (
        f"The test set is a sample too: its {found.scores.examples:,} examples give each score a standard error of "
        f"{_standard_error(found):.2f} points."
    )


def _lengths(scores: Scores) -> str:
    """How long seeds were trained, where that differs."""
    lengths, unit = scores.lengths, scores.axis.removesuffix(" trained")
    if lengths.min() == lengths.max():
        return ""
    last = int((lengths == lengths.max()).sum())
    return (
        f"{scores.name}: seeds were trained for {lengths.min():,} to {lengths.max():,} {unit}, "
        f"{np.median(lengths):,.0f} in the median. Curves and bands at a point are over the seeds that have it, "
        f"{last:,} of {len(lengths):,} at the last."
    )


def _late_spread(found: Findings) -> str:
    if len(found.points) < 2:
        return ""
    unit = "epoch" if found.scores.axis == "epochs trained" else "step"
    points, end = len(found.points), found.points[-1]
    if math.isnan(found.late_ratio):
        if found.n < 10:
            why = f"{found.n} seeds are too few"
        elif np.isnan(found.curves).any():
            why = "not all seeds have a score at every point"
        else:
            noun = "epochs" if end == points and unit == "epoch" else "points"
            why = f"the mean curve is flat in only {points - found.flat_from} of {points} {noun}"
        return f"Whether longer training would reduce the spread is unknown: {why}."
    low, high = found.late_interval
    if high < 1:
        verdict = "The spread was still falling at the end of training"
    elif low > 1:
        verdict = "The spread rises late in training"
    else:
        verdict = "Longer training is not shown to reduce the spread"
    return (
        f"{verdict}: the mean curve is flat from {unit} {found.points[found.flat_from]} of {end} (within half a std of "
        f"its last value), and the std in the second half of these {unit}s is {found.late_ratio:.2f} times that in the "
        f"first (95 %: {format_interval(found.late_interval)})."
    )


def black_swans(found: Findings) -> list[str]:
    """Question 2: are there seeds that are surprisingly good or bad?"""
    s, collapsed = found.scores, collapses(found)
    if found.n < 5:
        return [*collapsed, f"{found.name}: {_too_few(found)} to identify a surprising seed."]
    if not found.std:
        return [*collapsed, f"{found.name}: all {found.n:,} scores are equal: no seed is surprising."]
    sides = "below", "above"
    away_from_mean = (found.mean - found.min) / found.std, (found.max - found.mean) / found.std
    p_worst, p_best = found.p_min, found.p_max
    if s.metric.sign < 0:
        away_from_mean, sides, (p_worst, p_best) = away_from_mean[::-1], sides[::-1], (p_best, p_worst)
    expected, expected_range = st.expected_extreme(found.n)
    not_normal = found.shape is not None and found.shape.p < ALPHA
    if len(found.outliers):
        one = len(found.outliers) == 1
        seeds = shorten_seeds(sorted(int(s.seeds[i]) for i in found.outliers))
        verdict = (
            f"seed {seeds} stand{'s' * one} out (Rosner's test at 1 %), {span_from_median(found)} the median: "
            f"{'a black swan' if one else 'black swans'}"
            + (", or the longer tail of a distribution that is not normal." if not_normal else ".")
        )
    else:
        tests = f"Grubbs' test: {format_p_value(p_worst)} for the worst, {format_p_value(p_best)} for the best"
        among = " among the seeds that did not collapse" if collapsed else ""
        verdict = f"no black swan is shown{among}: neither extreme is an outlier ({tests})."
        if not_normal:
            verdict += " The test assumes normal scores, and these do not look normal."
    evidence = (
        f"The worst seed ({s.worst}) lies {away_from_mean[0]:.2f} std {sides[0]} the mean, the best ({s.best}) "
        f"{away_from_mean[1]:.2f} {sides[1]}. The extreme of {found.n:,} draws from a normal distribution lies "
        f"{expected:.2f} std away on average, in 95 % of cases {format_interval(expected_range)}."
    )
    rate = 1 / st.unseen_rate(found.n)
    rare = f"Events in fewer than one seed in {rate:,.0f} may be absent from a sample of {found.n:,}."
    return [*collapsed, f"{found.name}: {verdict}", f"{evidence} {rare}", *_title_seed(found)]


def span_from_median(found: Findings) -> str:
    """How far outliers lie from it: "0.90 to 3.20 points below", "up to 0.90 points below and 1.40 above"."""
    d, away = found.digits, found.scores.final[found.outliers] - found.median
    low, high = float(away.min()), float(away.max())
    if low * high < 0:
        return f"up to {d.difference(-low)} below and {d.plain(high)} above"
    near, far = sorted((abs(low), abs(high)))
    span = d.difference(far)
    if d.plain(near) != d.plain(far):
        span = f"{d.plain(near)} to {span}"
    return f"{span} {'below' if high < 0 else 'above'}"


def test_headline(found: Findings) -> list[str]:
    """The scores on the test set beside those on validation data, where it was scored once, at the end."""
    if (test := found.test) is None:
        return []
    d, mean = test.digits, float(test.final.mean())
    interval = ""
    if len(test.final) > 1:
        low, high = np.clip(st.mean_interval(test.final), *test.metric.limits)
        interval = f" (95 % of the mean {d.interval(low, high)})"
    spread = d.plus_minus(mean, float(st.sample_std(test.final)))
    return [
        f"On the test set: {test.metric.name} {spread}{d.suffix} over {count_noun(len(test.seeds), 'seed')}{interval}."
    ]


def test_set_words(found: Findings) -> list[str]:
    """How often the test set was looked at, and whether seeds that are good on validation data are good on it."""
    s = found.scores
    if found.test is None:
        if not s.is_of_test_set or not s.metric.name.startswith("val/"):
            return []
        return [
            f"{found.name}: every epoch of every seed was scored on the test set, "
            f"{count_noun(len(found.points), 'time')} a seed. The best epoch, or the best of several configs, chosen "
            "by these scores looks better than it is on new examples. `data.validation=0.1` keeps the test set for "
            "the end."
        ]
    looked = f"{found.name}: the test set was scored once per seed, at the end; nothing was chosen on it."
    spread = f"{s.metric.name} {found.digits.plus_minus(found.mean, found.std)}{found.digits.suffix}"
    headline = f"{spread}; {test_headline(found)[0][0].lower()}{test_headline(found)[0][1:]}"
    if math.isnan(found.test_correlation):
        return [looked, headline, "Whether seeds that are good on validation data are good on the test set is unknown."]
    low, high = found.test_interval
    if low > 0:
        answer = "Seeds that are better on validation data are better on the test set, to some extent"
    elif high < 0:
        answer = "Seeds that are better on validation data are worse on the test set"
    else:
        answer = "A seed that is better on validation data is not shown to be better on the test set"
    return [
        looked,
        headline,
        f"{answer}: the correlation over seeds is {found.test_correlation:+.2f} (95 %: {low:+.2f} to {high:+.2f}).",
    ]


def _title_seed(found: Findings) -> list[str]:
    at = np.flatnonzero(found.scores.seeds == TITLE_SEED)
    if not len(at):
        return []
    score = found.digits.value(found.scores.final[at[0]])
    better = int((found.scores.better > found.scores.better[at[0]]).sum())
    return [f"Seed {TITLE_SEED}, from the paper's title, reaches {score}: {better:,} of {found.n:,} seeds are better."]


def pretraining(several: Sequence[Findings]) -> list[str]:
    """Question 3: does pretraining shrink the spread? From every pair of a probe and a study trained from scratch."""
    if all(found.scores.study.config.get("module") for found in several):
        return []  # modules of the user's: what they start from is not known
    probes = [found for found in several if found.pretrained]
    scratch = [found for found in several if not found.pretrained]
    if not probes or not scratch:
        kind = "trained from scratch" if probes else "on a pretrained backbone"
        return [
            f"Unknown: the answer needs a study {kind} as well, each with at least 5 seeds: "
            "`seedspread report 'study=[ONE,OTHER]'` compares their spreads."
        ]
    compared = compared_with_scratch(several)
    return [*map(std_sentence, compared), *(_no_spread(found) for found in several if not has_spread(found))]


@dataclass(frozen=True)
class StdComparison:
    """Whether the std of `one` is smaller or larger than that of `other`; `less` and `more` are answers in words."""

    one: Findings
    other: Findings
    ratio: float
    interval: Interval
    p: float  # Brown-Forsythe
    less: str
    more: str

    @classmethod
    def of(cls, one: Findings, other: Findings, less: str, more: str) -> "StdComparison":
        ratio, interval = st.std_ratio(one.scores.final, other.scores.final)
        p = st.brown_forsythe([one.scores.final, other.scores.final])
        return cls(one, other, ratio, interval, p, less, more)

    @property
    def answer(self) -> str:
        differs = not self.interval.low <= 1 <= self.interval.high
        if differs and self.p < ALPHA:
            return self.less if self.interval.high < 1 else self.more
        return "a close call, which needs more seeds" if differs or self.p < ALPHA else "no difference shown"


def compared_with_scratch(several: Sequence[Findings]) -> list[StdComparison]:
    """The spread of every study that starts from pretrained weights against every one that does not."""
    probes = [found for found in several if found.pretrained and has_spread(found)]
    scratch = [found for found in several if not found.pretrained and has_spread(found)]
    less, more = "pretraining shrinks the spread", "with pretraining the spread is larger"
    return [StdComparison.of(probe, other, less, more) for probe in probes for other in scratch]


def has_spread(found: Findings) -> bool:
    """Whether there are seeds enough, and differences between them, to compare its std."""
    return found.n >= 5 and bool(found.std)


def _no_spread(found: Findings) -> str:
    why = "all score the same" if found.n >= 5 else "at least 5 are needed"
    return f"The spread of {found.name} cannot be compared: {count_noun(found.n, 'finished seed')}, {why}."


def spreads(several: Sequence[Findings]) -> list[str]:
    """Whether the spreads of several studies differ: all at once, and pair by pair."""
    enough = [found for found in several if has_spread(found)]
    left_out = [_no_spread(found) for found in several if not has_spread(found)]
    if len(enough) < 2:
        return left_out
    p = st.brown_forsythe([found.scores.final for found in enough])
    verdict = "The spreads differ" if p < ALPHA else "No difference between the spreads is shown"
    names = ", ".join(found.name for found in enough)
    return [
        f"{verdict} (Brown-Forsythe {format_p_value(p)}): {names}.",
        *map(std_sentence, compared_in_pairs(enough)),
        *left_out,
    ]


def compared_in_pairs(several: Sequence[Findings]) -> list[StdComparison]:
    """The spreads of the studies that have one, pair by pair; of more than four studies against the first."""
    enough = [found for found in several if has_spread(found)]
    pairs = combinations(enough, 2) if len(enough) <= 4 else ((enough[0], other) for other in enough[1:])
    return [StdComparison.of(b, a, f"{b.name} spreads less", f"{b.name} spreads more") for a, b in pairs]


def std_sentence(c: StdComparison) -> str:
    """The comparison of two stds in a sentence, and what else differs."""
    one, other = c.one, c.other
    evidence = (
        f"{c.answer if c.answer.startswith(one.name) else c.answer[0].upper() + c.answer[1:]}: the std of {one.name} "
        f"({one.digits.plain(one.std)}, {one.n:,} seeds) is {c.ratio:.2f} times that of {other.name} "
        f"({other.digits.plain(other.std)}, {other.n:,} seeds), 95 % interval {format_interval(c.interval)}, "
        f"Brown-Forsythe {format_p_value(c.p)}."
    )
    others = _other_differences(one, other)
    return evidence + (f" The studies also differ otherwise: {'; '.join(others)}." if others else "")


def _other_differences(one: Findings, other: Findings) -> list[str]:
    parts = []
    ours, theirs = (dict(flatten(found.scores.study.config)).get("data.name") for found in (one, other))
    if ours != theirs:
        parts.append(f"the data are {ours} and {theirs}")
    if one.scores.examples is None or other.scores.examples is None:
        return parts
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
    return 100 * math.sqrt(p * (1 - p) / (found.scores.examples or math.nan))


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
    typical, early = float(np.nanmedian(high)), max(1, largest.shape[1] // EARLY_PARTS)
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
        f"{'epoch' if early == 1 else f'{early} epochs'} is {np.nanmax(largest[:, :early]) / typical:.1f} times that"
    )
    if largest.shape[1] > early:
        evidence += f", of the later ones {np.nanmax(largest[:, early:]) / typical:.1f} times"
    return [f"{found.name}: {' '.join(verdicts)} {evidence}."]


def _norms_until_diverged(found: Findings) -> list[Array]:
    """The largest gradient norms of each epoch of diverged seeds that have them; those not finite are infinite."""
    records = (r for r in found.scores.records.values() if r.status == Status.DIVERGED)
    lines = (record.curves.get("grad_norm/max", []) for record in records)
    return [np.array([math.inf if norm is None else norm for norm in line]) for line in lines]


def _unstable_seeds(found: Findings) -> list[int]:
    """Seeds whose training loss rises above its minimum by half of the fall to it, and by 5 % of the first loss."""
    _, losses = found.scores.logged("train/loss")
    if not losses.size:
        return []
    seeds = found.scores.seeds[np.isfinite(found.scores.curves["train/loss"]).any(axis=1)]
    lowest, first = np.fmin.accumulate(losses, axis=1), losses[:, :1]
    rises = losses - lowest > np.maximum((first - lowest) / 2, np.abs(first) / 20)
    return sorted(seeds[rises.any(axis=1)].tolist())
