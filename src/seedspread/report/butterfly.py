"""How far runs part that differ in one bit of one weight, beside runs of other seeds: spread and churn, over epochs.

Summers and Dinneen 2021 ("Nondeterminism and instability in neural network optimization", arXiv 2103.04514): one bit at
the start gives as much as another seed. Altıntaş et al. 2025 (arXiv 2506.13234): the later, the less.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import figure
from matplotlib.axes import Axes

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.records.digits import Digits
from seedspread.records.files import draft_folder, unwritable_error
from seedspread.records.record import Record
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.report.agreement import Agreement
from seedspread.report.agreement_words import percent, percent_interval
from seedspread.report.document import Document, Figure, Note, Paragraph, Part, Table, write_document
from seedspread.report.drawing import BLUE, COLUMN, GREY, ORANGE, ROW, STYLE, save_figure, use_integer_ticks
from seedspread.report.labels import with_unit
from seedspread.report.sources import ALL, read_scores
from seedspread.report.study_words import format_interval
from seedspread.statistics import Array, Interval

INIT, HELD = "init alone", "nothing"
SHOWN = {ALL: "another seed", INIT: "another init"}
CONTROLS = 2  # runs without a flip


def name_flip(epoch: int) -> str:
    """What is varied where a bit is flipped after so many epochs."""
    return f"one bit after epoch {epoch}" if epoch else "one bit before the first step"


@dataclass(frozen=True)
class Spread:
    """Runs 0 to n - 1 of one study: their scores (n,) in the unit shown, and their labels where they are known.

    `epoch` is that of the flip, None of other seeds.
    """

    varied: str
    epoch: int | None
    scores: Array
    found: Scores
    agreement: Agreement | None

    @classmethod
    def read(cls, varied: str, study: Study, n: int) -> "Spread":
        """InputError where runs are missing, or ended before their flip."""
        found, scores = read_scores(study, n)
        agreement = Agreement.of(found)
        if agreement is not None:
            first = agreement.seeds < n
            agreement = replace(agreement, seeds=agreement.seeds[first], labels=agreement.labels[first])
        epoch = study.config.get("butterfly")
        spread = cls(varied, epoch, scores, found, agreement)
        if epoch is not None and (early := sum(record.flipped is None for record in spread.records)):
            raise InputError(
                f"{study.folder}: {early} of {n} runs ended before their bit was flipped, after epoch {epoch}"
            )
        return spread

    @property
    def records(self) -> list[Record]:
        return [record for record in self.found.finished if record.seed < len(self.scores)]

    @property
    def std(self) -> float:
        return float(st.sample_std(self.scores))

    @property
    def std_interval(self) -> Interval:
        return st.std_interval(self.scores)

    @property
    def churn(self) -> st.Churn | None:
        return None if self.agreement is None else self.agreement.churn

    def std_ratio(self, other: "Spread") -> tuple[float, Interval]:
        return st.std_ratio(self.scores, other.scores)

    def churn_difference(self, other: "Spread") -> tuple[float, Interval] | None:
        """How much larger its churn is than that of `other`; None where labels are not known of the same examples."""
        one, two = self.agreement, other.agreement
        if one is None or two is None or one.cannot_compare(two):
            return None
        return st.churn_difference(one.churn, two.churn)


@dataclass(frozen=True)
class Butterfly:
    """Spreads by the epoch of the flip, ascending, those of other seeds, and the runs without a flip."""

    flips: list[Spread]
    seeds: Spread
    inits: Spread
    held: list[Record]

    @classmethod
    def read(cls, studies: Mapping[str, Study], n: int) -> "Butterfly":
        """From the studies by what is varied; InputError where runs are missing."""
        found = {varied: Spread.read(varied, study, n) for varied, study in studies.items() if varied != HELD}
        flips = [spread for spread in found.values() if spread.epoch is not None]
        held = Spread.read(HELD, studies[HELD], CONTROLS)
        return cls(flips, found[ALL], found[INIT], held.records)

    @property
    def rows(self) -> list[Spread]:
        return [self.seeds, self.inits, *self.flips]

    @property
    def repeats(self) -> bool:
        """Whether the runs without a flip ended with the same bits."""
        return len({record.weights_sha256 for record in self.held}) == 1

    def without_effect(self, spread: Spread) -> int | None:
        """How many runs with a flip ended with the predictions of the run without; None where that is not known."""
        known = self.held[0].predictions_sha256
        if known is None or spread.epoch is None or not self.repeats:
            return None
        return sum(record.predictions_sha256 == known for record in spread.records)

    @cached_property
    def digits(self) -> Digits:
        stds = [spread.std for spread in self.rows if spread.std]
        largest = max(float(np.abs(spread.scores).max()) for spread in self.rows)
        return Digits.of_error(self.seeds.found.metric, min(stds, default=0.0), largest)


def _with_interval(value: str, interval: Interval, shown: str) -> str:
    """A cell that breaks before its interval, not within."""
    return f"{value} ({shown})".replace(" to ", "\u00a0to\u00a0") if interval.is_known else value


def _signed(interval: Interval) -> str:
    return " to ".join(f"{100 * side:+.2f}" for side in interval)


def butterfly_table(found: Butterfly) -> Table:
    """Std and churn of each study with their intervals, and how they compare with those of another seed."""
    rows, d, metric = [], found.digits, found.seeds.found.metric
    for spread in found.rows:
        interval, churn, difference = spread.std_interval, spread.churn, spread.churn_difference(found.seeds)
        mean, std = float(spread.scores.mean()), spread.std
        row = [
            SHOWN.get(spread.varied, spread.varied).replace("epoch ", "epoch\u00a0"),
            f"{len(spread.scores)}",
            d.plain(mean),
        ]
        row.append(_with_interval(d.plain(std), interval, d.interval(*interval) if interval.is_known else ""))
        ratio, ratios = spread.std_ratio(found.seeds)
        known = spread is not found.seeds and not np.isnan(ratio)
        row.append(_with_interval(f"{ratio:.2f}", ratios, format_interval(ratios)) if known else "")
        shown = "" if churn is None else f"{100 * churn.value:.2f}"
        # Where no two runs differ, an interval without width says too much.
        known = churn is not None and churn.value > 0
        row.append(
            _with_interval(shown, churn.interval, percent_interval(churn.interval)) if churn and known else shown
        )
        if spread is found.seeds or difference is None:
            row.append("")
        else:
            row.append(_with_interval(f"{100 * difference[0]:+.2f}", difference[1], _signed(difference[1])))
        lost = found.without_effect(spread)
        rows.append([*row, "" if lost is None else f"{lost}"])
    head = ["varied", "runs", with_unit(f"{metric.name}, mean", metric.symbol), "std (95 %)", "std / another seed's"]
    head += ["churn, % (95 %)", "churn - another seed's, points", "predict as without a flip"]
    return Table(head, rows, numbers=1)


def butterfly_answer(found: Butterfly) -> list[str]:
    """Whether one bit spreads less than another seed, and than another init; whether a later one does; the control."""
    first, last = found.flips[0], found.flips[-1]
    lines = [_compare(found, first, found.seeds, f"one bit of one weight, flipped {_when(first)},", "another seed")]
    lines.append(_compare(found, first, found.inits, "the same bit", "another init, with all else held,"))
    if last is not first:
        lines.append(_compare(found, last, first, f"a flip {_when(last)}", f"one {_when(first)}"))
    return [*lines, *_lost_sentence(found, first), _control_sentence(found)]


def _when(spread: Spread) -> str:
    return f"after epoch {spread.epoch}" if spread.epoch else "before the first step"


def _compare(found: Butterfly, one: Spread, other: Spread, subject: str, than: str) -> str:
    """Whether std and churn of `one` are shown to be smaller or larger than those of `other`, and both."""
    if found.without_effect(one) == len(one.scores):
        return f"{subject[0].upper()}{subject[1:]} changes no prediction in any of {len(one.scores)} runs."
    ratio, interval = one.std_ratio(other)
    d = found.digits
    number = f"std {d.plain(one.std)} against {d.difference(other.std)}"
    number += "" if np.isnan(ratio) else f" ({ratio:.2f} times{_level(interval, format_interval(interval))})"
    answers = [("spread of scores", _side(interval, 1.0), number)]
    difference = one.churn_difference(other)
    if difference is not None and one.churn is not None and other.churn is not None:
        value, apart = difference
        number = f"churn {100 * one.churn.value:.2f} against {percent(other.churn.value)} ({100 * value:+.2f} points"
        number += f"{_level(apart, _signed(apart))})"
        answers.append(("churn", _side(apart, 0.0), number))
    known = [f"{side} {what}" for what, side, _ in answers if side]
    unknown = [what for what, side, _ in answers if not side]
    words = f"{subject} gives {' and '.join(known)} than {than.rstrip(',')}" if known else ""
    if unknown:
        words += "; " if known else f"between {subject} and {than} "
        words += f"no difference in {' or '.join(unknown)} is shown"
    return f"{words[0].upper()}{words[1:]}: {'; '.join(number for _, _, number in answers)}."


def _level(interval: Interval, shown: str) -> str:
    return f", 95 %: {shown}" if interval.is_known else ""


def _side(interval: Interval, equal: float) -> str:
    """On which side of equality a whole interval lies; empty where it holds equality or is unknown."""
    return "less" if interval.high < equal else "more" if interval.low > equal else ""


def _lost_sentence(found: Butterfly, spread: Spread) -> list[str]:
    """How many flips changed no prediction, and what that does to the interval."""
    lost, n = found.without_effect(spread), len(spread.scores)
    if not lost or lost == n:  # the answer says it
        return []
    line = (
        f"{lost} of {n} runs with a flip {_when(spread)} predict as the run without a flip does, on every test example"
    )
    rough = " Few runs carry the spread: the interval of its std is rough." if lost > n / 2 else ""
    return [f"{line}: their bit is lost, or has not grown far enough.{rough}"]


def _control_sentence(found: Butterfly) -> str:
    if found.repeats:
        return (
            f"Control: {CONTROLS} runs without a flip end with the same weights, bit for bit. Runs with a flip differ "
            "in nothing but their one bit each."
        )
    return (
        f"Control: {CONTROLS} runs without a flip end with different weights. This machine adds spread of its own, and "
        "what the bit does is unknown; trainer.deterministic=true may help."
    )


def _notes(found: Butterfly) -> list[str]:
    """How the numbers are to be read."""
    lines = [
        "A flip changes the lowest bit of one trained weight, the smallest change there is. All its runs have the "
        "init, order, augmentation and split of seed 0; each flips the bit of another weight, drawn by its number. The "
        "intervals are for other weights, not for other seeds to flip them in. Another seed changes all streams, "
        "another init the first weights alone.",
    ]
    if found.seeds.churn is not None:
        lines.append(
            "Churn is the share of test examples to which two runs of a row give different labels, over all pairs of "
            "runs; its intervals are for other runs and other test examples. Each interval covers 95 % on its own."
        )
    precision = str(found.held[0].precision)
    if any(found.without_effect(spread) for spread in found.flips) and precision.endswith("16-mixed"):
        lines.append(
            f"In {precision} a layer rounds its 32-bit weights to 16 bits in each step, which hides the lowest bit "
            "until the rounding tips over; trainer.precision=32-true shows the bit itself."
        )
    return lines


@mpl.rc_context(STYLE)
def butterfly_figure(found: Butterfly) -> figure.Figure:
    """Std and churn over the epoch of the flip, with 95 % intervals; bands for another seed."""
    metric = found.seeds.found.metric
    panels = 1 if found.seeds.churn is None else 2
    fig = figure.Figure(figsize=(COLUMN * (1.25 if panels > 1 else 1), ROW), layout="constrained")
    axes = fig.subplots(1, panels, squeeze=False)[0]
    unit = f", {metric.difference_symbol}" if metric.difference_symbol else ""
    _draw_over_epochs(axes[0], found, [(s.std, s.std_interval) for s in found.rows])
    axes[0].set_title(f"std of {metric.name}{unit}")
    if panels > 1:
        churns = [(s.churn.value, s.churn.interval) if s.churn else (np.nan, st.UNKNOWN) for s in found.rows]
        _draw_over_epochs(axes[1], found, [(100 * v, Interval(100 * i.low, 100 * i.high)) for v, i in churns])
        axes[1].set_title("churn, % of test examples")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def _draw_over_epochs(ax: Axes, found: Butterfly, values: Sequence[tuple[float, Interval]]) -> None:
    """`values` are in the order of `found.rows`."""
    (seed, band), (init, _), *flips = values
    ax.axhline(seed, color=GREY, linewidth=1.4, label="another seed")
    if band.is_known:
        ax.axhspan(*band, color=GREY, alpha=0.18, linewidth=0, label="its 95 %")
    ax.axhline(init, color=ORANGE, linewidth=1.2, linestyle="--", label="another init")
    epochs = [spread.epoch or 0 for spread in found.flips]
    for epoch, (_, interval) in zip(epochs, flips, strict=True):
        if interval.is_known:
            ax.plot([epoch, epoch], interval, color=BLUE, linewidth=2)
    ax.plot(
        epochs, [value for value, _ in flips], "o-", color=BLUE, linewidth=0.8, clip_on=False, label="one bit, 95 %"
    )
    ax.set_xlabel("epochs trained before the flip")
    ax.set_ylim(bottom=0)
    ax.margins(x=0.08)
    use_integer_ticks(ax)


def butterfly_document(name: str, found: Butterfly) -> Document:
    """The page of the butterflies of the study `name`."""
    lead, *rest = butterfly_answer(found)
    if not found.repeats:
        *rest, control = rest
        rest_parts: list[Part] = [*map(Paragraph, rest), Note([control])]
    else:
        rest_parts = [*map(Paragraph, rest)]
    what = "Std" if found.seeds.churn is None else "Std and churn"
    caption = f"{what} of runs that differ in one bit, by the epoch of the flip, beside another seed."
    parts = [*rest_parts, Figure("butterfly", caption), butterfly_table(found), *map(Paragraph, _notes(found))]
    return Document(f"One flipped bit against another seed: {name}", [lead], parts)


def write_butterfly(name: str, found: Butterfly, folder: Path) -> Path:
    """Write page, table and figure as index.html and butterfly.md, .csv, .png and .svg in `folder`; return the page."""
    rows = []
    for s in found.rows:
        ratio, ratios = s.std_ratio(found.seeds)
        difference, differences = s.churn_difference(found.seeds) or (None, st.UNKNOWN)
        churn, churns = (None, st.UNKNOWN) if s.churn is None else (s.churn.value, s.churn.interval)
        rows.append(
            {"varied": s.varied, "study": s.found.name, "epoch": s.epoch, "runs": len(s.scores)}
            | {"metric": s.found.metric.name, "mean": float(s.scores.mean()), "std": s.std}
            | {"std_low": s.std_interval.low, "std_high": s.std_interval.high}
            | {"std_ratio": ratio, "std_ratio_low": ratios.low, "std_ratio_high": ratios.high}
            | {"churn": churn, "churn_low": churns.low, "churn_high": churns.high}
            | {"churn_difference": difference, "churn_difference_low": differences.low}
            | {"churn_difference_high": differences.high, "without_effect": found.without_effect(s)}
        )
    try:
        with draft_folder(folder) as draft:
            save_figure(butterfly_figure(found), draft, "butterfly")
            pd.DataFrame(rows).to_csv(draft / "butterfly.csv", index=False)
            write_document(butterfly_document(name, found), draft, "butterfly")
    except OSError as error:
        raise unwritable_error(folder, error) from error
    return folder / "index.html"
