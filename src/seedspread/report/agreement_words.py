"""Whether seeds agree, in words: the answer first, then the number, then the caveat."""

import math
from collections.abc import Sequence

import numpy as np

from seedspread import statistics as st
from seedspread.config.overrides import shorten_seeds
from seedspread.report.agreement import FAMILIES_LEVEL, Agreement, BetweenStudies, SeedMap
from seedspread.report.calibration import Calibration
from seedspread.report.document import Table, Text
from seedspread.report.study_words import format_p_value
from seedspread.statistics import Array, Ensemble, Interval

SHOWN_CLASSES = 10
SHOWN_LABELS = 4  # that seeds gave to one example


def percent(share: float) -> str:
    """A share as percent, with three decimals where two would be 0.00."""
    return f"{100 * share:.{3 if 0 < share < 5e-5 else 2}f} %"


def percent_interval(interval: Interval) -> str:
    low, high = (100 * side for side in interval)
    decimals = 2 if high - low >= 0.1 else 3
    return f"{low:.{decimals}f} to {high:.{decimals}f}"


def agreement_words(found: Agreement) -> list[str]:
    """How far the seeds of one study agree, in sentences."""
    lines = [_churn(found), *_beside(found), *_classes(found), *_ensembles(found.ensembles)]
    return [*lines, *calibration_words(found), *_map(found.map), *left_out_words(found)]


def _churn(found: Agreement) -> str:
    interval = "" if not found.churn.interval.is_known else f" (95 %: {percent_interval(found.churn.interval)})"
    whether = "one is right and the other wrong" if found.only_right else "they give different labels"
    pairs = len(found.seeds) * (len(found.seeds) - 1) // 2
    which = "the two seeds differ" if pairs == 1 else "two seeds differ"
    source = f"of {found.examples:,} test examples" + ("" if pairs == 1 else f", over all {pairs:,} pairs of seeds")
    caveat = " The interval is for other seeds and other test examples." if found.churn.interval.is_known else ""
    if pairs == 1:
        caveat = " Two seeds are too few for an interval."
    return f"{found.name}: {which} on {percent(found.churn.value)}{interval} {source}: {whether}.{caveat}"


def _beside(found: Agreement) -> list[str]:
    if found.error is None or found.at_random is None:
        return ["The true labels are not known: errors, classes and votes are not shown."]
    value, error, random = found.churn.value, found.error, found.at_random
    line = f"A seed errs on {percent(error)} on average"
    line += f": the churn is {value / error:.2f} times the error." if error else "."
    if random:
        line += f" As many and the same mistakes at random places would make it {percent(random)}"
        saved = 1 - value / random
        line += f": seeds share their mistakes, which spares {100 * saved:.0f} % of it." if saved > 0.005 else "."
    lines = [line]
    if found.only_right:
        lines.append("Which label a seed gave was not recorded: two different wrong labels count as agreement here.")
    elif error:
        lines.append(
            "Where networks are calibrated as an ensemble, churn equals the error (Jiang 2021); it is at most twice "
            "the error."
        )
    return lines


def _by_spread(found: Agreement) -> Array:
    """Classes with examples, those whose accuracy spreads most first."""
    spread = found.class_spread
    if spread is None or math.isnan(float(np.nanmax(spread.std))):
        return np.empty(0, int)
    order = np.argsort(-np.nan_to_num(spread.std, nan=-1.0), kind="stable")
    return order[spread.examples[order] > 0]


def _classes(found: Agreement) -> list[str]:
    order, spread = _by_spread(found), found.class_spread
    if len(order) < 2 or spread is None or not spread.std[order[0]]:
        return []
    first, names = int(order[0]), found.class_names
    line = (
        f"Class {names[first]} spreads most: the std of its accuracy over seeds is {100 * spread.std[first]:.2f} "
        f"points; chance with its {spread.examples[first]:,} examples alone would give "
        f"{100 * spread.by_chance[first]:.2f}."
    )
    if pairs := _confused(found):
        told = "; ".join(f"{names[c]} is taken for {names[k]} in {percent(share)}" for c, k, share in pairs[:3])
        line += f" Most often confused: {told} of the answers."
    return [line]


def _confused(found: Agreement) -> list[tuple[int, int, float]]:
    """Classes, the wrong labels given to them, and the share of answers, most frequent first."""
    if found.confusion is None:
        return []
    shares = found.confusion / np.maximum(1, found.confusion.sum(axis=1, keepdims=True))
    at = np.arange(len(shares))
    shares[at, at] = 0
    order = np.argsort(-shares, axis=None, kind="stable")[:SHOWN_CLASSES]
    pairs = (divmod(int(place), shares.shape[1]) for place in order)
    return [(c, k, float(shares[c, k])) for c, k in pairs if shares[c, k] > 0]


def class_table(found: Agreement) -> Table | None:
    """The classes that spread most, with what they are taken for; None where labels are not known."""
    order, spread, confused = _by_spread(found), found.class_spread, found.confusion
    if len(order) < 2 or spread is None or confused is None:
        return None
    rows: list[list[Text]] = []
    for c in order[:SHOWN_CLASSES].tolist():
        wrong = confused[c].copy()
        wrong[c] = 0
        taken = f"{found.class_names[int(wrong.argmax())]} ({percent(wrong.max() / confused[c].sum())})"
        numbers = (f"{100 * value:.2f}" for value in (spread.mean[c], spread.std[c], spread.by_chance[c]))
        rows.append([found.class_names[c], f"{spread.examples[c]:,}", *numbers, taken if wrong.max() else ""])
    more = f" ({SHOWN_CLASSES} of {len(order):,})" if len(order) > SHOWN_CLASSES else ""
    head = [f"class{more}", "examples", "accuracy, %", "std over seeds, points", "std by chance alone", "taken for"]
    return Table(head, rows, numbers=1)


def _ensembles(found: Sequence[Ensemble]) -> list[str]:
    if not found:
        return []
    known = [e for e in found if e.k > 2]
    if not known:
        return ["Two votes are right as often as one: where they differ, a coin decides. Three seeds or more may gain."]
    answer = "Voting gains" if _gain(known) else "Voting is not shown to gain"
    two = " Two votes are right as often as one: where they differ, a coin decides." if found[0].k == 2 else ""
    return [f"{answer}: the votes of {'; of '.join(map(_reach, known))}, against one seed.{two}"]


def _gain(several: Sequence[Ensemble]) -> bool:
    """Whether the largest ensembles of which there are several are shown to be better than one seed."""
    lows = [e.interval.low for e in several if e.interval.is_known]
    return bool(lows) and lows[-1] > 0


def _reach(e: Ensemble) -> str:
    interval = f", 95 %: {_signed(e.interval)}" if e.interval.is_known else ""
    return f"{e.k} seeds reach {percent(e.accuracy)} ({100 * e.gain:+.2f} points{interval})"


def _signed(interval: Interval) -> str:
    low, high = (100 * side for side in interval)
    return f"{low:+.2f} to {high:+.2f}"


def calibration_words(found: Agreement) -> list[str]:
    """What the probabilities of the seeds show, in sentences; none where no seed keeps them."""
    if (kept := found.calibration) is None:
        return []
    lines, n = [], len(kept.seeds)
    if n < len(found.seeds):
        missing = sorted(set(found.seeds.tolist()) - set(kept.seeds.tolist()))
        lines.append(
            f"{n:,} of {len(found.seeds):,} seeds keep probabilities; what follows on these is without seed "
            f"{shorten_seeds(missing)}."
        )
    if kept.ensembles:
        answer = "gains" if _gain(kept.ensembles) else "is not shown to gain"
        averaged = "; of ".join(map(_reach, kept.ensembles))
        lines.append(f"Averaging {answer}: the averaged probabilities of {averaged}, against one seed.")
    error = f"Expected calibration error (ECE): {_error(kept)} %"
    error += f" over {n:,} seeds" if n > 1 else ""
    if kept.ensembles:
        best = kept.ensembles[-1]
        error += f", {percent(best.calibration_error)} for {best.k} seeds that average"
    chance = f"Perfectly calibrated seeds of the same confidence would show {percent(kept.error_by_chance)} by chance."
    return [*lines, f"{_confidence(kept)} {error}. {chance}"]


def _error(kept: Calibration) -> str:
    spread = f" ± {100 * kept.error.std(ddof=1):.2f}" if len(kept.seeds) > 1 else ""
    return f"{100 * kept.error.mean():.2f}{spread}"


def _confidence(kept: Calibration) -> str:
    interval = f", 95 %: {_signed(kept.interval)}" if kept.interval.is_known else ""
    if kept.interval.is_known and kept.interval.low > 0:
        answer = "Seeds are overconfident"
    elif kept.interval.is_known and kept.interval.high < 0:
        answer = "Seeds are underconfident"
    else:
        answer = "Neither over- nor underconfidence is shown"
    confidence = kept.accuracy + kept.overconfidence
    return (
        f"{answer}: their mean confidence is {percent(confidence)}, their accuracy {percent(kept.accuracy)} "
        f"({100 * kept.overconfidence:+.2f} points{interval})."
    )


def calibration_table(several: Sequence[Agreement]) -> Table | None:
    """Calibration of the studies that keep probabilities, a row each; None where none does."""
    rows: list[list[Text]] = []
    for found in several:
        if (kept := found.calibration) is None:
            continue
        interval = f" ({_signed(kept.interval)})" if kept.interval.is_known else ""
        gap = f"{100 * kept.overconfidence:+.2f}{interval}"
        errors = _error(kept), f"{100 * kept.error_by_chance:.2f}", f"{100 * kept.unbiased:.2f}"
        all_ = "" if len(kept.seeds) == len(found.seeds) else f" of {len(found.seeds):,}"
        rows.append([found.name, f"{len(kept.seeds):,}{all_}", f"{100 * kept.accuracy:.2f}", gap, *errors])
    head = [
        "study", "seeds", "accuracy, %", "confidence minus accuracy, points (95 %)", "ECE, %", "by chance",
        "RMS without bias",
    ]  # fmt: skip
    return Table(head, rows, numbers=1) if rows else None


def ensemble_table(several: Sequence[Agreement]) -> Table | None:
    """One seed and ensembles by votes and by probabilities; None where no study keeps these, or has ensembles."""
    rows: list[list[Text]] = []
    for found in several:
        if (kept := found.calibration) is None or not kept.ensembles or found.error is None:
            continue
        alone = f"{100 * (1 - found.error):.2f}", "", f"{100 * kept.accuracy:.2f}", "", f"{100 * kept.error.mean():.2f}"
        name = f"{found.name}, " if len(several) > 1 else ""
        rows.append([f"{name}1", *alone])
        votes = {e.k: e for e in found.ensembles}
        for e in kept.ensembles:
            cells = *_ensemble_cells(votes[e.k]), *_ensemble_cells(e), f"{100 * e.calibration_error:.2f}"
            rows.append([f"{name}{e.k}", *cells])
    gain = "gain, points (95 %)"
    head = ["seeds together", "votes, %", gain, "averaged probabilities, %", gain, "their ECE, %"]
    return Table(head, rows, numbers=1) if rows else None


def _ensemble_cells(e: Ensemble) -> tuple[str, str]:
    interval = f" ({_signed(e.interval)})" if e.interval.is_known and e.interval.low < e.interval.high else ""
    return f"{100 * e.accuracy:.2f}", f"{100 * e.gain:+.2f}{interval}"


def _map(seeds: SeedMap | None) -> list[str]:
    if seeds is None or seeds.families is None:
        return []
    if len(seeds.groups) > 1:
        return []
    second, test = seeds.families.second, f"test of a split, {format_p_value(seeds.families.p)}"
    one, other = sorted((second, ~second), key=lambda group: (group.sum(), -int(np.flatnonzero(group)[0])))
    between, many = percent(seeds.mean_churn(one, other)), percent(seeds.mean_churn(other, other))
    if seeds.is_split:
        few = percent(seeds.mean_churn(one, one))
        first, rest = (shorten_seeds(sorted(seeds.seeds[group].tolist())) for group in (one, other))
        return [
            f"The map shows two families of seeds ({test}): {one.sum():,} seeds ({first}) and {other.sum():,} "
            f"({rest}). Seeds of different families differ on {between}, seeds of one family on {few} and {many}."
        ]
    if one.sum() == 1 and seeds.families.p < FAMILIES_LEVEL:
        return [
            f"No two families of seeds are shown. Seed {seeds.seeds[one][0]} lies apart: it differs from the others on "
            f"{between}, and these from one another on {many}."
        ]
    return [f"No two families of seeds are shown: the map has no clear gap ({test})."]


def left_out_words(found: Agreement) -> list[str]:
    """Which seeds the numbers are without, and why."""
    lines = []
    if lost := list(found.collapsed):
        runs = len(lost) + len(found.scores.seeds)
        rate, (low, high) = st.collapse_rate(len(lost), runs)
        lines.append(
            f"Without seed {shorten_seeds(lost)} of {found.name}, which collapsed or diverged: {len(lost):,} of "
            f"{runs:,}, {100 * rate:.1f} % (95 %: {100 * low:.1f} to {100 * high:.1f} %)."
        )
    if left := sorted(set(found.scores.seeds.tolist()) - set(found.seeds.tolist())):
        lines.append(f"Without seed {shorten_seeds(left)} of {found.name}: the predictions are missing or damaged.")
    return lines


def unstable_words(found: Agreement) -> str:
    """What the examples shown are."""
    if not len(found.unstable):
        return "All seeds agree on every test example."
    which = f"The {len(found.unstable)} test examples on which seeds disagree most, the worst first"
    return f"{which}. On {int((found.churn.by_example > 0).sum()):,} of {found.examples:,} some seed differs."


def given_labels(found: Agreement, example: int) -> list[tuple[int, int]]:
    """The labels that seeds gave to an example and how often, the most frequent first."""
    counts = found.counts[example]
    order = np.argsort(-counts.astype(int), kind="stable")[:SHOWN_LABELS]
    return [(int(k), int(counts[k])) for k in order if counts[k]]


def unstable_table(found: Agreement) -> Table:
    """The most unstable examples by position or name, their true label, and what seeds said of them."""
    rows: list[list[Text]] = []
    for example in found.unstable.tolist():
        position = example if found.index is None else int(found.index.positions[example])
        name = "" if found.index is None or found.index.names is None else str(found.index.names[example])
        if found.only_right:
            said = f"right {found.counts[example, 1]:,} ×, wrong {found.counts[example, 0]:,} ×"
        else:
            said = ", ".join(f"{found.class_names[k]}: {n:,} ×" for k, n in given_labels(found, example))
        known = found.truth is not None and not found.only_right
        true = found.class_names[int(found.truth[example])] if known and found.truth is not None else ""
        rows.append([name or f"{position:,}", true, said, percent(found.churn.by_example[example])])
    return Table(["test example", "true label", "labels that seeds gave", "pairs of seeds that differ"], rows)


def between_words(between: BetweenStudies) -> list[str]:
    """How far the seeds of two studies agree with one another, and whose own seeds agree more."""
    one, other, churn = between.one, between.other, between.churn
    interval = f" (95 %: {percent_interval(churn.interval)})" if churn.interval.is_known else ""
    lines = [
        f"A seed of {one.name} and one of {other.name} differ on {percent(churn.value)}{interval}; seeds of "
        f"{one.name} on {percent(one.churn.value)}, of {other.name} on {percent(other.churn.value)}."
    ]
    if one.only_right:
        lines[0] += " Seeds differ where one is right and the other wrong: more was not recorded."
    if not between.interval.is_known:
        return [*lines, "Whose seeds agree more is unknown: too few seeds."]
    low, high = (100 * side for side in between.interval)
    if low > 0 or high < 0:
        less, more = (other, one) if low > 0 else (one, other)
        answer = f"Seeds of {less.name} agree more than those of {more.name}"
    else:
        answer = f"Neither {one.name} nor {other.name} is shown to churn less"
    return [
        *lines,
        f"{answer}: the churn of {one.name} minus that of {other.name} is {100 * between.larger:+.2f} points (95 %"
        + (f" for all {between.pairs} pairs together" if between.pairs > 1 else "")
        + f": {low:+.2f} to {high:+.2f}, for other seeds and other test examples"
        + ("; compared seed by seed)." if between.paired else ")."),
    ]


def churn_table(several: Sequence[Agreement]) -> Table:
    """Churn within each study beside its error."""
    rows: list[list[Text]] = []
    for found in several:
        interval = percent_interval(found.churn.interval) if found.churn.interval.is_known else ""
        beside = ["" if value is None else f"{100 * value:.2f}" for value in (found.error, found.at_random)]
        rows.append([found.name, f"{len(found.seeds):,}", f"{100 * found.churn.value:.2f}", interval, *beside])
    head = ["study", "seeds", "churn, %", "95 %", "test error, %", "mistakes at random places, %"]
    return Table(head, rows, numbers=1)
