"""Which source of randomness matters: the spread of five studies with n runs each.

Init alone, order alone, augmentation alone, all together, and nothing varied with determinism off. Each study is a
sweep like any other: it resumes, and `seedspread report study=NAME` reports it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib import figure

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.records.digits import Digits
from seedspread.records.files import draft_folder, unwritable_error
from seedspread.records.metric import ACCURACY, Metric
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.report.document import Document, Figure, Part, Table, write_document
from seedspread.report.drawing import BLUE, GREY, draw_dots, save_figure
from seedspread.report.labels import with_unit
from seedspread.report.study_words import format_interval
from seedspread.statistics import Interval

VARIED = {"init alone": "init", "order alone": "order", "augmentation alone": "augment"}
ALL, NOTHING = "all together", "nothing, determinism off"


@dataclass(frozen=True)
class Source:
    """A source that was varied, and the spread of the scores in the unit shown; the interval is Bonett's."""

    varied: str
    study: str
    n: int
    mean: float
    std: float
    std_interval: Interval
    metric: Metric = ACCURACY

    @property
    def variance(self) -> float:
        return self.std**2

    @property
    def variance_interval(self) -> Interval:
        return Interval(self.std_interval.low**2, self.std_interval.high**2)


def read_source(varied: str, study: Study, n: int) -> Source:
    """The spread over runs 0 to n - 1 of one study, without any others; InputError where some are missing."""
    found = Scores.of(study)
    scores = found.final[found.seeds < n]
    if len(scores) < n:
        raise InputError(f"{study.folder}: {len(scores)} of {n} runs are finished; seedspread status shows the rest")
    mean, std = float(scores.mean()), float(st.sample_std(scores))
    return Source(varied, study.name, n, mean, std, st.std_interval(scores), study.metric)


def sources_table(sources: Sequence[Source]) -> Table:
    """Variances by source, with intervals, and their share of the variance of all sources together."""
    whole = next(source.variance for source in sources if source.varied == ALL)
    rows, metric, d = [], sources[0].metric, _digits(sources)
    for s in sources:
        interval = f" ({_format_variances(s)})" if s.std_interval.is_known else ""
        share = f"{100 * s.variance / whole:.0f} %" if whole else ""
        rows.append((s.varied, f"{s.n}", d.plus_minus(s.mean, s.std), f"{_format_variance(s)}{interval}", share))
    spread = with_unit("mean ± std", metric.symbol)
    return Table(["varied", "runs", spread, "variance (95 %)", "share of all together"], rows, numbers=1)


def _digits(sources: Sequence[Source]) -> Digits:
    stds = [source.std for source in sources if source.std]
    return Digits.of_error(sources[0].metric, min(stds, default=0.0), max(abs(source.mean) for source in sources))


def _format_variance(source: Source) -> str:
    return f"{source.variance:.3f}" if source.metric.symbol == "%" else f"{source.variance:.3g}"


def _format_variances(source: Source) -> str:
    if source.metric.symbol == "%":
        return format_interval(source.variance_interval)
    return f"{source.variance_interval.low:.3g} to {source.variance_interval.high:.3g}"


def sources_sentence(sources: Sequence[Source]) -> str:
    """Whether the variances of the single sources add up to that of all together; empty where nothing varies."""
    alone = [source for source in sources if source.varied in VARIED]
    whole = next(source for source in sources if source.varied == ALL)
    if not whole.variance or not alone:
        return ""
    total = sum(source.variance for source in alone)
    least = sum(source.variance_interval.low for source in alone)
    if least > whole.variance_interval.high:
        answer = "The variances of the sources do not add up: training amplifies any small difference"
    else:
        answer = "Whether the variances of the sources add up is unknown: these runs are too few"
    return f"{answer}. The {len(alone)} alone sum to {total:.3f}, {100 * total / whole.variance:.0f} % of all together."


def sources_figure(sources: Sequence[Source]) -> figure.Figure:
    """The std of each source with its 95 % interval."""
    rows = [(s.varied, s.std, s.std_interval, BLUE if s.varied in VARIED else GREY) for s in sources]
    metric = sources[0].metric
    unit = f", {metric.difference_symbol}" if metric.difference_symbol else ""
    return draw_dots(rows, f"std of the {metric.quantity} over {sources[0].n} runs{unit}, with its 95 % interval")


def sources_document(name: str, sources: Sequence[Source]) -> Document:
    """The page of the design on the study `name`."""
    sentence = sources_sentence(sources)
    caption = f"The std of the {sources[0].metric.quantity} over runs by source, with its 95 % interval (Bonett 2006)."
    parts: list[Part] = [sources_table(sources), Figure("sources", caption)]
    return Document(f"Sources of the spread of {name}", [sentence] if sentence else [], parts)


def write_sources(name: str, sources: Sequence[Source], folder: Path) -> Path:
    """Write page, table and figure as index.html and sources.md, .csv, .png and .svg in `folder`; return the page."""
    rows = [
        {"varied": s.varied, "study": s.study, "runs": s.n, "mean": s.mean, "std": s.std, "variance": s.variance}
        | {"variance_low": s.variance_interval.low, "variance_high": s.variance_interval.high}
        for s in sources
    ]
    document = sources_document(name, sources)
    try:
        with draft_folder(folder) as draft:
            save_figure(sources_figure(sources), draft, "sources")
            pd.DataFrame(rows).to_csv(draft / "sources.csv", index=False)
            write_document(document, draft, "sources")
    except OSError as error:
        raise unwritable_error(folder, error) from error
    return folder / "index.html"
