"""Which source of randomness matters: `seedspread sources experiment=digits n=50`.

Five studies of n runs each: init alone, order alone, augmentation alone, all together, and nothing varied with
determinism off. Each is a sweep like any other, which resumes and has its own report.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.records.files import unwritable_error
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.report.drawing import BLUE, GREY, dots, save_figure
from seedspread.report.wording import format_interval
from seedspread.statistics.spread import Interval

VARIED = {"init alone": "init", "order alone": "order", "augmentation alone": "augment"}
ALL, NOTHING = "all together", "nothing, determinism off"


@dataclass(frozen=True)
class Source:
    """What was varied, and the spread of the accuracy (points) that came of it; the interval is Bonett's."""

    varied: str
    study: str
    n: int
    mean: float
    std: float
    std_interval: Interval

    @property
    def variance(self) -> float:
        return self.std**2

    @property
    def variance_interval(self) -> Interval:
        return Interval(self.std_interval.low**2, self.std_interval.high**2)


def read_source(varied: str, study: Study, n: int) -> Source:
    """The spread over runs 0 to n - 1 of one study, whichever others it has; InputError where some are missing."""
    scores = Scores.of(study)
    accuracy = scores.accuracy[scores.seeds < n]
    if len(accuracy) < n:
        raise InputError(f"{study.folder}: {len(accuracy)} of {n} runs finished; seedspread status says more")
    mean, std = float(accuracy.mean()), float(st.sample_std(accuracy))
    return Source(varied, study.name, n, mean, std, st.std_interval(accuracy))


def sources_table(sources: Sequence[Source]) -> str:
    """Variances by source, with intervals, and their share of what all together give."""
    whole = next(source.variance for source in sources if source.varied == ALL)
    lines = ["| varied | runs | mean ± std, % | variance, 95 % | of all together |", "|---|---|---|---|---|"]
    for s in sources:
        interval = "" if math.isnan(s.std_interval.low) else f" ({format_interval(s.variance_interval)})"
        share = f"{100 * s.variance / whole:.0f} %" if whole else ""
        spread = f"{s.mean:.2f} ± {s.std:.2f}"
        lines.append(f"| {s.varied} | {s.n} | {spread} | {s.variance:.3f}{interval} | {share} |")
    alone = [source for source in sources if source.varied in VARIED]
    if whole and alone:
        least = sum(source.variance_interval.low for source in alone)
        most = next(source.variance_interval.high for source in sources if source.varied == ALL)
        total = sum(source.variance for source in alone)
        lines.append(
            f"\nThe three alone add up to {total:.3f}, {100 * total / whole:.0f} % of all together"
            + (
                ": sources do not add up. Training makes much of any small difference, wherever it comes from."
                if least > most
                else "; so few runs do not show whether sources add up."
            )
        )
    return "\n".join(lines)


def sources_figure(sources: Sequence[Source]) -> Figure:
    """The std of each source with its 95 % interval."""
    rows = [(s.varied, s.std, s.std_interval, BLUE if s.varied in VARIED else GREY) for s in sources]
    return dots(rows, f"std of the accuracy over {sources[0].n} runs, points, with its 95 % interval")


def write_sources(sources: Sequence[Source], folder: Path) -> None:
    """Table and figure of `sources` as sources.md, .csv, .png and .svg in `folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sources.md").write_text(sources_table(sources) + "\n\n![spread by source](sources.png)\n")
        rows = [
            {"varied": s.varied, "study": s.study, "runs": s.n, "mean": s.mean, "std": s.std, "variance": s.variance}
            | {"variance_low": s.variance_interval.low, "variance_high": s.variance_interval.high}
            for s in sources
        ]
        pd.DataFrame(rows).to_csv(folder / "sources.csv", index=False)
        save_figure(sources_figure(sources), folder, "sources")
    except OSError as error:
        raise unwritable_error(folder, error) from error
