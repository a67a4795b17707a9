"""Whether one arm is better than another, in words that follow the numbers."""

import math

from seedspread import statistics as st
from seedspread.config.identity import find_differences, flatten
from seedspread.decide.verdict import FEW, Arm, ArmComparison, needs_caution
from seedspread.records.scores import Scores
from seedspread.report.wording import format_p_value, shortcomings
from seedspread.statistics.comparison import Difference
from seedspread.statistics.spread import Interval

SMALL = 17  # seeds an arm that show a difference of one std between seeds with 80 % power
MOST_TOLD = 1_000_000


class Digits:
    """Numbers with as many decimals as their standard error has meaning in: two digits of it."""

    def __init__(self, error: float, least: int) -> None:
        self.decimals = max(least, min(10, 1 - math.floor(math.log10(error)))) if error > 0 else max(least, 4)

    def plain(self, value: float) -> str:
        return f"{value:.{self.decimals}f}"

    def signed(self, value: float) -> str:
        return f"{value:+.{self.decimals}f}"

    def within(self, interval: Interval) -> str:
        return f"{self.signed(interval.low)} to {self.signed(interval.high)}"


def digits(c: ArmComparison) -> Digits:
    return Digits(c.primary.error, least=2 if c.baseline.study else 0)


def unit(c: ArmComparison) -> str:
    return " points" if c.baseline.study or c.candidate.study else ""


def deciding(c: ArmComparison) -> str:
    """The test that decides, with what it stands on."""
    if c.paired:
        return f"paired t-test, {int(c.paired.freedom) + 1:,} pairs of seeds"
    few = ", df of the smaller arm" if needs_caution(c.baseline.scores, c.candidate.scores) else ""
    return f"Welch's t-test, {c.baseline.n:,} and {c.candidate.n:,} seeds{few}"


def verdict_sentence(c: ArmComparison) -> str:
    """The verdict in one sentence."""
    d = digits(c)
    adjusted = f", {format_p_value(c.p)} by Holm for {c.candidates} candidates" if c.candidates > 1 else ""
    told = (
        f"{d.signed(c.primary.value)}{unit(c)} (95 % {d.within(c.primary.interval)}; {deciding(c)}, "
        f"{format_p_value(c.primary.p)}{adjusted})"
    )
    name, other = c.candidate.name, c.baseline.name
    if c.verdict in ("better", "worse"):
        return f"{name} is {c.verdict} than {other}: {told}."
    if c.is_small:
        return f"No difference shown: {name} is within {c.worth:g} of {other}: {told}."
    if c.verdict == "not shown":
        return f"Not shown that {name} differs from {other}: {told}. {_to_settle(c)}"
    return f"Too few seeds to tell {name} from {other}: {told}. {_to_settle(c)}"


def _to_settle(c: ArmComparison) -> str:
    """What these seeds can show, and how many more would show what was seen."""
    d = digits(c)
    able = f"These seeds show differences from {d.plain(c.detectable)}{unit(c)} up (power 80 %)"
    if math.isinf(c.needed):
        return f"{able}; they show none at all."
    if c.needed > MOST_TOLD:
        return f"{able}; one as small as the one seen takes more than a million seeds an arm."
    needed = int(c.needed)
    have = (int(c.paired.freedom) + 1,) * 2 if c.paired else (c.baseline.n, c.candidate.n)
    more = [max(0, needed - n) for n in have]
    if more[0] == more[1]:
        missing = f"{more[0]:,} more of each"
    else:
        missing = " and ".join(
            f"{m:,} more of {arm.name}" for m, arm in zip(more, (c.baseline, c.candidate), strict=True) if m
        )
    return f"{able}; if the one seen is true, about {needed:,} seeds an arm would settle it: {missing}."


def notes(c: ArmComparison) -> list[str]:
    """What a reader must know besides: of pairs, test examples, few seeds, missing ones, outliers."""
    found = [f"{'Paired' if c.paired else 'Unpaired'} over seeds: {c.pairing.why}."]
    if c.paired and not math.isnan(c.correlation):
        low, high = c.correlation_interval
        told = f"Scores of one seed correlate {c.correlation:+.2f} (95 % {low:+.2f} to {high:+.2f}) between the two: "
        if low > 0:
            found.append(told + "pairing takes out what they share.")
        else:
            found.append(told + "not shown to be more than independent draws do; the paired test holds either way.")
    found += _of_examples(c)
    if (data := [_data_name(arm) for arm in (c.baseline, c.candidate)])[0] != data[1]:
        found.append(f"They were scored on different data ({data[0]}, {data[1]}): the difference is of the tasks too.")
    if c.fewest < FEW:
        least = _least_p(c)
        found.append(
            f"With {c.fewest} seeds the t-test rests on normally distributed scores, which so few cannot show, and "
            "bootstraps say nothing"
            + (f"; the permutation test cannot go below p = {least:.2g}" * (least > 0.001))
            + "."
        )
    elif c.fewest < SMALL:
        found.append(
            f"Fewer than {SMALL} seeds an arm: only a difference larger than the std between seeds would be likely to "
            "show, and one that shows looks larger than it is."
        )
    if c.candidates > 1:
        found.append("Intervals are for one comparison each; p-values by Holm allow for all.")
    if c.verdict in ("not shown", "too few seeds"):
        found.append(
            "Adding seeds and testing anew until it shows rejects too often: settle their number first "
            "(seedspread power), and compare once."
        )
    for arm in (c.baseline, c.candidate):
        found += _of_arm(arm)
    return found


def _data_name(arm: Arm) -> str | None:
    return dict(flatten(arm.study.study.config)).get("data.name") if arm.study else None


def _least_p(c: ArmComparison) -> float:
    if c.paired:
        return min(1.0, 2.0 ** (1 - int(c.paired.freedom + 1)))
    return min(1.0, 2 / math.comb(c.baseline.n + c.candidate.n, c.baseline.n))


def _of_examples(c: ArmComparison) -> list[str]:
    if c.baseline.study is None or c.candidate.study is None:
        return ["How much the test set leaves open cannot be told: files of scores say nothing of single examples."]
    if c.examples is None:
        return ["How much the test set leaves open cannot be told: predictions on single examples are missing."]
    e, d = c.examples, Digits(c.examples.whole.error, least=2)
    if e.same:
        told = f"Paired over test examples: both were scored on the same {e.count:,}."
    elif c.baseline.study.examples != c.candidate.study.examples:
        counts = f"{c.baseline.study.examples:,} and {c.candidate.study.examples:,} examples"
        told = f"Unpaired over test examples: the test sets differ ({counts})."
    else:
        told = (
            f"Unpaired over test examples: the records do not say that the {e.count:,} of either are the same "
            "(same_examples=true does, for instance for features of the same pictures)."
        )
    told += (
        f" Their choice leaves a standard error of {Digits(e.error, least=2).plain(e.error)} points, which more seeds "
        f"do not make smaller: over other seeds and other examples the difference is {d.signed(e.whole.value)} (95 % "
        f"{d.within(e.whole.interval)})"
    )
    if c.verdict in ("better", "worse"):
        beyond = e.whole.interval.low > 0 or e.whole.interval.high < 0
        told += (
            ": it holds beyond this test set." if beyond else f": {c.verdict} on this test set, not shown beyond it."
        )
    else:
        told += "."
    return [told]


def _of_arm(arm: Arm) -> list[str]:
    found = []
    if st.is_constant(arm.scores):
        found.append(f"All {arm.n:,} scores of {arm.name} are equal: check that its seeds reach the training.")
    if count := len(st.outliers(arm.scores)):
        stand = "1 score" if count == 1 else f"{count} scores"
        found.append(
            f"{stand} of {arm.name} stand{'s' * (count == 1)} out (Rosner's test): means and their tests lean on "
            f"{'it' if count == 1 else 'them'}; how often one arm wins does not."
        )
    if arm.study is not None:
        found += [f"{arm.name}: {line}" for line in shortcomings(arm.study)]
    return found


def setting_differences(baseline: Arm, candidate: Arm) -> list[tuple[str, str, str]]:
    """Keys of config, data and environment that differ, with both values; those of several values have all of them."""
    if baseline.study is None or candidate.study is None:
        return []

    def environment(scores: Scores) -> dict[str, str]:
        return {key: ", ".join(sorted(values)) for key, values in scores.environments.items()}

    one, other = baseline.study, candidate.study
    found = [(key, str(old), str(new)) for key, old, new in find_differences(one.study.config, other.study.config)]
    return found + [
        (f"environment: {key}", a, b) for key, a, b in find_differences(environment(one), environment(other))
    ]


def rows(c: ArmComparison) -> list[tuple[str, str]]:
    """The table: what was asked, and what came of it."""
    d, u = digits(c), unit(c)

    def difference(found: Difference) -> str:
        interval = f"95 % {d.within(found.interval)}"
        return f"{d.signed(found.value)}{u} ({interval}), {format_p_value(found.p)}"

    table = [(f"decides: {deciding(c)}", difference(c.primary))]
    if c.paired:
        table.append(("unpaired, Welch's t-test", difference(c.welch)))
    if c.candidates > 1:
        table.append((f"p by Holm for {c.candidates} candidates", format_p_value(c.p)))
    kind = "sign flips of pairs" if c.paired else "of Welch's t"
    table.append((f"permutation test, {kind}", format_p_value(c.p_permutation)))
    low, high = c.improvement_interval
    over = "pairs" if c.paired else "seeds"
    few = f"no verdict from fewer than {FEW} seeds" if c.fewest < FEW else ""
    verdict = few or st.bouthillier_verdict(c.improvement_interval)
    wins = f"{c.improvement:.3f} (95 % {low:.3f} to {high:.3f}): {verdict}"
    table.append((f"P({c.candidate.name} > {c.baseline.name}) over {over}, Bouthillier's verdict", wins))
    order = few or (f"speaks for {c.candidate.name}" if c.dominance < 0.2 else "no order shown")
    table.append(("almost stochastic order, ε_min", f"{c.dominance:.3f}: {order}"))
    if not math.isnan(c.effect):
        low, high = c.effect_interval
        table.append(("effect size, Hedges' g", f"{c.effect:+.2f} std (95 % {low:+.2f} to {high:+.2f})"))
    if e := c.examples:
        how, whole = "paired over" if e.same else "other", Digits(e.whole.error, least=2)
        table.append((f"standard error by {how} test examples", f"{Digits(e.error, 2).plain(e.error)}{u}"))
        told = f"{whole.signed(e.whole.value)}{u} (95 % {whole.within(e.whole.interval)}), {format_p_value(e.whole.p)}"
        table.append(("the difference over seeds and test examples", told))
    if not math.isnan(c.std_ratio):
        low, high = c.std_ratio_interval
        interval = "" if math.isnan(low) else f" (95 % {low:.2f} to {high:.2f})"
        p = "" if math.isnan(c.p_spreads) else f", Brown-Forsythe {format_p_value(c.p_spreads)}"
        table.append((f"std of {c.candidate.name} / std of {c.baseline.name}", f"{c.std_ratio:.2f}{interval}{p}"))
    return table
