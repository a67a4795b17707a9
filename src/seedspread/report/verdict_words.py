"""A comparison in words: the verdict, the notes that a reader needs, and the table of every test."""

import math

from seedspread import statistics as st
from seedspread.config.identity import find_differences, flatten
from seedspread.decide.arms import SCORE, Arm
from seedspread.decide.verdict import ALPHA, LEAST_SEEDS, ArmComparison, needs_caution
from seedspread.records.digits import Digits
from seedspread.records.metric import Metric
from seedspread.records.scores import Scores
from seedspread.report.study_words import count_noun, format_p_value, shortcomings
from seedspread.statistics import Difference, Interval

SMALL = 17  # seeds per arm that show a difference of one std between seeds with 80 % power
LEAST_EFFECT = 5  # seeds per arm from which an effect size is told: of 2 it may be in the thousands
MOST_PAIRS = 1_000_000  # above it no number of seeds is named
ORDERED = 0.2  # the largest ε_min of an almost stochastic order (Ulmer et al. 2022)
COLLAPSED = (
    "A seed has collapsed where it diverged, or where its score is worse than the median of its arm by more than 20 "
    "robust standard deviations: such seeds are in no other number here."
)


def unit(c: ArmComparison) -> str:
    """What stands behind a difference: nothing for files of scores alone, whose unit is unknown."""
    return f" {c.metric.difference_symbol}" if c.metric.difference_symbol else ""


def metric_before(metric: Metric) -> str:
    """The name of a metric before a number, where it is not the accuracy; nothing for scores of files."""
    return "" if metric.name == SCORE.name or metric.quantity != metric.name else f"{metric.name} "


def sign_of_better(c: ArmComparison) -> str:
    return ">" if c.metric.sign > 0 else "<"


def deciding_test(c: ArmComparison) -> str:
    """The test that decides, with its numbers of seeds."""
    if c.paired:
        return f"paired t-test, {c.pairs:,} pairs of seeds"
    cautious = ", df of the smaller arm" if needs_caution(c.baseline.n, c.candidate.n) else ""
    permutations = " and its permutations" if c.baseline.n != c.candidate.n else ""
    return f"Welch's t-test{permutations}, {c.baseline.n:,} and {c.candidate.n:,} seeds{cautious}"


def verdict_sentence(c: ArmComparison) -> str:
    """The verdict in one sentence; where it is open, what these seeds could show and what decides, in two more."""
    d = c.digits()
    adjusted = f", {format_p_value(c.p)} by Holm for {c.candidates} candidates" if c.candidates > 1 else ""
    direction = f"; {c.metric.better}" if c.metric.sign < 0 else ""
    evidence = (
        f"{metric_before(c.metric)}{d.signed(c.primary.value)}{unit(c)} (95 % {d.signed_interval(*c.primary.interval)}"
        f"{direction}; {deciding_test(c)}, {format_p_value(c.primary.p)}{adjusted})"
    )
    name, other = c.candidate.name, c.baseline.name
    if c.means_verdict in ("better", "worse"):
        text = f"{name} is {c.means_verdict} than {other}: {evidence}."
    elif c.means_verdict == "equivalent":
        how = f"{c.towards} by less than" if c.p < ALPHA else "within"
        text = f"{name} is equivalent to {other}, {how} {c.worth:g}: {evidence}."
    elif c.means_verdict == "not shown":
        text = f"No difference shown between {name} and {other}: {evidence}."
    else:
        text = f"Too few seeds to compare {name} with {other}: {evidence}."
    if collapsed := _collapse_sentence(c):
        text = text if text.startswith(name) else text[0].lower() + text[1:]
        text = f"Among the seeds that did not collapse, {text} {collapsed}"
    open_verdict = c.means_verdict in ("not shown", "too few seeds")
    return f"{text} {_what_more_seeds_can_do(c)}" if open_verdict else text


def _collapse_sentence(c: ArmComparison) -> str:
    """How many seeds of each arm collapsed; empty where none did."""
    first, second = sorted((c.candidate, c.baseline), key=lambda arm: not arm.collapsed)
    if not first.collapsed:
        return ""
    other = f"{format_collapses(second)} of {second.name}" if second.collapsed else f"none of {second.name}"
    return f"{format_collapses(first, ' of ' + first.name + ' collapsed')}, {other}."


def format_collapses(arm: Arm, what: str = "") -> str:
    """How many of how many seeds collapsed, as a rate with its interval: 3 of 40 seeds (7.5 %, 95 % 1.6 to 20.4 %)."""
    rate, (low, high) = arm.collapse_rate
    interval = f"{100 * rate:.1f} %, 95 % {100 * low:.1f} to {100 * high:.1f} %"
    return f"{arm.collapsed:,} of {arm.runs:,} seeds{what} ({interval})"


def _what_more_seeds_can_do(c: ArmComparison) -> str:
    """The smallest difference that these seeds detect, and the command that decides with more of them."""
    d = c.digits()
    able = f"These seeds detect differences of at least {d.plain(c.detectable)}{unit(c)} (power 80 %)."
    if not c.more:
        return able
    trains = c.baseline.study is not None and c.candidate.study is not None
    until = "trains more until it is decided" if trains else "may be asked again with each score that is added"
    found = f"{able} `{c.more}` {until}, without rejecting too often"
    if c.planned_pairs is None:
        return f"{found}."
    few = c.planned_pairs <= MOST_PAIRS
    pairs = f"about {c.planned_pairs:,}" if few else f"more than {MOST_PAIRS:,}"
    return f"{found}: {pairs} seeds of each decide between a difference of 0 and one of {c.worth:g} (power 80 %)."


def notes(c: ArmComparison) -> list[str]:
    """What qualifies the verdict: pairing, test examples, few seeds, missing seeds, outliers."""
    found = [f"{'Paired' if c.paired else 'Unpaired'} over seeds: {c.pairing.why}."]
    if c.paired and not math.isnan(c.correlation):
        low, high = c.correlation_interval
        text = f"Scores of the same seed correlate {c.correlation:+.2f} (95 % {low:+.2f} to {high:+.2f}) between arms: "
        if low > 0:
            found.append(text + "pairing removes this shared variance.")
        else:
            found.append(text + "no correlation is shown; the paired test is valid either way.")
    if c.baseline.collapsed or c.candidate.collapsed:
        found.append(COLLAPSED)
    found += _example_notes(c)
    if (data := [_data_name(arm) for arm in (c.baseline, c.candidate)])[0] != data[1] and None not in data:
        found.append(f"The arms were scored on different data ({data[0]}, {data[1]}), which is part of the difference.")
    if c.fewest < LEAST_SEEDS:
        least = _least_p(c)
        found.append(
            f"With {c.fewest} seeds the t-test assumes normally distributed scores, which so few seeds cannot show, "
            "and bootstrap intervals are unreliable"
            + (f"; the permutation test cannot go below p = {least:.2g}" * (least > 0.001))
            + "."
        )
    elif c.fewest < SMALL:
        found.append(
            f"Fewer than {SMALL} seeds per arm: only a difference larger than the std between seeds is likely to show, "
            "and one that shows looks larger than it is."
        )
    if c.candidates > 1:
        found.append("Each interval is for one comparison; p-values by Holm allow for all.")
    if c.worth is not None and c.means_verdict in ("better", "worse"):
        found.append(worth_note(c.worth, c.primary, c.digits()))
    for arm in (c.baseline, c.candidate):
        found += arm_notes(arm, f", P(candidate {sign_of_better(c)} baseline) is not")
    return found


def worth_note(worth: float, found: Difference, digits: Digits) -> str:
    """Whether a sure difference is shown to be one of `worth`."""
    low = min(map(abs, found.interval))
    shown = "is shown" if low >= worth else f"is not shown: it may be {digits.difference(low)}"
    return f"A difference of at least {worth:g}, the smallest that matters, {shown}."


def _data_name(arm: Arm) -> str | None:
    return dict(flatten(arm.study.study.config)).get("data.name") if arm.study else None


def _least_p(c: ArmComparison) -> float:
    """The smallest p-value that the permutation test can reach: in arms of one size each arrangement has its mirror."""
    if c.paired:
        return min(1.0, 2.0 ** (1 - c.pairs))
    alike = 2 if c.baseline.n == c.candidate.n else 1
    return min(1.0, alike / math.comb(c.baseline.n + c.candidate.n, c.baseline.n))


def _example_notes(c: ArmComparison) -> list[str]:
    if any(arm.study and arm.study.examples is None for arm in (c.baseline, c.candidate)):
        return []
    if c.baseline.study is None or c.candidate.study is None:
        return ["The error by the choice of test examples is unknown: files of scores hold no predictions."]
    if c.examples is None:
        return ["The error by the choice of test examples is unknown: predictions on single examples are missing."]
    e, d = c.examples, c.digits(c.examples.whole.error)
    if e.same:
        text = f"Paired over test examples: both were scored on the same {e.count:,}."
    elif c.baseline.study.examples != c.candidate.study.examples:
        counts = f"{c.baseline.study.examples:,} and {c.candidate.study.examples:,} examples"
        text = f"Unpaired over test examples: the test sets differ ({counts})."
    else:
        text = (
            f"Unpaired over test examples: the records do not show that both test sets hold the same {e.count:,} "
            "examples (set same_examples=true if they do, for instance features of the same pictures)."
        )
    text += (
        f" The choice of test examples adds a standard error of {c.digits(e.error).plain(e.error)} points, "
        f"which more seeds do not reduce: over other seeds and other examples the difference is "
        f"{d.signed(e.whole.value)} (95 % {d.signed_interval(*e.whole.interval)})"
    )
    if c.means_verdict not in ("better", "worse"):
        return [f"{text}."]
    beyond = e.whole.interval.low > 0 or e.whole.interval.high < 0
    return [
        f"{text}: {'it holds' if beyond else f'{c.means_verdict} on this test set, not shown'} beyond this test set."
    ]


def arm_notes(arm: Arm, unlike: str = "") -> list[str]:
    """What qualifies the scores of one arm: no spread, outliers, missing seeds; `unlike`: what outliers do not move."""
    found = []
    if st.is_constant(arm.scores):
        found.append(f"All {arm.n:,} scores of {arm.name} are equal: check that its training depends on the seed.")
    examples = arm.study.examples if arm.study else None
    if count := len(st.outliers(arm.scores, step=100 / examples if examples else None)):
        found.append(
            f"{count_noun(count, 'score')} of {arm.name} {'is an outlier' if count == 1 else 'are outliers'} (Rosner's "
            f"test): means and t-tests are sensitive to outliers{unlike}."
        )
    if arm.study is not None:
        found += [f"{arm.name}: {line}" for line in shortcomings(arm.study)]
    return found


def setting_differences(baseline: Arm, candidate: Arm) -> list[tuple[str, str, str]]:
    """Keys of config, data and environment that differ, with the value of each arm; several values are joined."""
    if baseline.study is None or candidate.study is None:
        return []
    if baseline.study.study.kind != candidate.study.study.kind:
        return []  # logs and functions name other settings than a config, and by other names

    def environment(scores: Scores) -> dict[str, str]:
        return {key: ", ".join(sorted(values)) for key, values in scores.environments.items()}

    one, other = baseline.study, candidate.study
    found = find_differences(one.study.config, other.study.config)
    ran = find_differences(environment(one), environment(other))
    return [(key, str(a), str(b)) for key, a, b in found] + [(f"environment: {key}", a, b) for key, a, b in ran]


def comparison_rows(c: ArmComparison) -> list[tuple[str, str]]:
    """The table of every test: its name and its result, the deciding one first."""
    d, u = c.digits(), unit(c)

    def difference(found: Difference, d: Digits = d) -> str:
        return f"{d.signed(found.value)}{u} (95 % {d.signed_interval(*found.interval)}), {format_p_value(found.p)}"

    table = [(f"deciding test: {deciding_test(c)}", difference(c.primary))]
    if c.baseline.collapsed or c.candidate.collapsed:
        table += [(f"collapsed seeds of {arm.name}", format_collapses(arm)) for arm in (c.baseline, c.candidate)]
    if c.paired:
        table.append(("unpaired, Welch's t-test", difference(c.welch)))
    if c.candidates > 1:
        table.append((f"p by Holm for {c.candidates} candidates", format_p_value(c.p)))
    kind = "sign flips of pairs" if c.paired else "of Welch's t"
    table.append((f"permutation test, {kind}", format_p_value(c.p_permutation)))
    low, high = c.improvement_interval
    over = "pairs" if c.paired else "seeds"
    wins = f"{c.improvement:.3f} (95 % {low:.3f} to {high:.3f}): {_who_wins(c)}"
    table.append(
        (f"P({c.candidate.name} {sign_of_better(c)} {c.baseline.name}) over {over}, Bouthillier's verdict", wins)
    )
    table.append(("almost stochastic order, ε_min", _who_dominates(c)))
    if not math.isnan(c.effect) and c.fewest >= LEAST_EFFECT:
        low, high = c.effect_interval
        table.append(("effect size, Hedges' g", f"{c.effect:+.2f} std (95 % {low:+.2f} to {high:+.2f})"))
    if e := c.examples:
        how, whole = "paired" if e.same else "unpaired", c.digits(e.whole.error)
        table.append((f"standard error by test examples, {how}", f"{c.digits(e.error).plain(e.error)}{u}"))
        table.append(("difference over seeds and test examples", difference(e.whole, whole)))
    if not math.isnan(c.std_ratio):
        low, high = c.std_ratio_interval
        interval = f" (95 % {low:.2f} to {high:.2f})" if c.std_ratio_interval.is_known else ""
        p = "" if math.isnan(c.p_spreads) else f", Brown-Forsythe {format_p_value(c.p_spreads)}"
        table.append((f"std of {c.candidate.name} / std of {c.baseline.name}", f"{c.std_ratio:.2f}{interval}{p}"))
    return table


NO_VERDICT = f"no verdict with fewer than {LEAST_SEEDS} seeds"


def _who_wins(c: ArmComparison) -> str:
    """Bouthillier's verdict, asked both ways, and which arm it is for."""
    if c.fewest < LEAST_SEEDS:
        return NO_VERDICT
    low, high = c.improvement_interval
    for arm, interval in ((c.candidate, c.improvement_interval), (c.baseline, Interval(1 - high, 1 - low))):
        if interval.low > 0.5:
            return f"{st.bouthillier_verdict(interval)}: {arm.name} is better"
    return st.bouthillier_verdict(c.improvement_interval)


def _who_dominates(c: ArmComparison) -> str:
    """The smaller ε_min of the two directions, and the arm that it is for."""
    if c.fewest < LEAST_SEEDS:
        return f"{c.dominance:.3f}: {NO_VERDICT}"
    if c.dominated < min(ORDERED, c.dominance):
        return f"{c.dominated:.3f}: {c.baseline.name} is better"
    order = f"{c.candidate.name} is better" if c.dominance < ORDERED else "no order shown"
    return f"{c.dominance:.3f}: {order}"
