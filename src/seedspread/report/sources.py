"""Which source of randomness matters: the spread of a study with n runs for each of them.

Init alone, order alone, augmentation alone, the split into training and validation data alone (Bouthillier et al. 2021,
"Accounting for variance in machine learning benchmarks"), all together, and nothing varied with determinism off. Each
study is a sweep like any other: it resumes, and `seedspread report study=NAME` reports it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from seedspread.report.document import Document, Figure, Paragraph, Part, Table, write_document
from seedspread.report.drawing import BLUE, GREY, draw_dots, save_figure
from seedspread.report.labels import with_unit
from seedspread.report.study_words import format_interval
from seedspread.statistics import Array, Interval

SPLIT = "split alone"
VARIED = {"init alone": "init", "order alone": "order", "augmentation alone": "augment", SPLIT: "split"}
ALL, NOTHING = "all together", "nothing, determinism off"


@dataclass(frozen=True)
class Source:
    """A source that was varied, and the spread of the scores in the unit shown; the interval is Bonett's.

    Scores are of the test set where there is one beside validation data, whose mean is `validation` then.
    """

    varied: str
    study: str
    n: int
    mean: float
    std: float
    std_interval: Interval
    metric: Metric = ACCURACY
    validation: float | None = None
    validation_interval: Interval = st.UNKNOWN  # of the mean over splits, which share examples

    @property
    def variance(self) -> float:
        return self.std**2

    @property
    def variance_interval(self) -> Interval:
        return Interval(self.std_interval.low**2, self.std_interval.high**2)


def read_scores(study: Study, n: int) -> tuple[Scores, Array]:
    """The records of a study, by its metric of the test set where it has one, and the scores (n,) of runs 0 to n - 1.

    InputError where some of these are missing.
    """
    chosen = Scores.of(study)
    found = chosen.by(chosen.test_metric) if chosen.test_metric else chosen
    scores = found.final[found.seeds < n]
    if len(scores) < n:
        raise InputError(f"{study.folder}: {len(scores)} of {n} runs are finished; seedspread status shows the rest")
    return found, scores


def read_source(varied: str, study: Study, n: int) -> Source:
    """The spread over runs 0 to n - 1 of one study, without any others; InputError where some are missing."""
    chosen = Scores.of(study)
    found, scores = read_scores(study, n)
    mean, std = float(scores.mean()), float(st.sample_std(scores))
    source = Source(varied, study.name, n, mean, std, st.std_interval(scores), found.metric)
    if found.metric == chosen.metric:
        return source
    validation, record = chosen.final[chosen.seeds < n], chosen.finished[0]
    interval = st.UNKNOWN
    if varied == SPLIT and record.split_sha256 and record.validation_examples and record.train_examples:
        interval = st.split_mean_interval(validation, record.validation_examples, record.train_examples)
    return replace(source, validation=float(validation.mean()), validation_interval=interval)


def sources_table(sources: Sequence[Source]) -> Table:
    """Variances by source, with intervals, and their share of the variance of all sources together."""
    whole = next(source.variance for source in sources if source.varied == ALL)
    rows, metric, d = [], sources[0].metric, _digits(sources)
    validated = any(source.validation is not None for source in sources)
    for s in sources:
        interval = f" ({_format_variances(s)})" if s.std_interval.is_known else ""
        share = f"{100 * s.variance / whole:.0f} %" if whole else ""
        row = [s.varied, f"{s.n}", d.plus_minus(s.mean, s.std), f"{_format_variance(s)}{interval}", share]
        rows.append(row + ([_format_validation(s, d)] if validated else []))
    what = f"{metric.name}, " if validated else ""
    head = ["varied", "runs", with_unit(f"{what}mean ± std", metric.symbol), "variance (95 %)", "share of all together"]
    head += [with_unit("validation, mean", metric.symbol)] if validated else []
    return Table(head, rows, numbers=1)


def _format_validation(source: Source, d: Digits) -> str:
    """The mean of the validation scores, with its interval where splits vary."""
    if source.validation is None:
        return ""
    interval = source.validation_interval
    return d.plain(source.validation) + (f" (95 % {d.interval(*interval)})" if interval.is_known else "")


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


def split_sentence(sources: Sequence[Source]) -> list[str]:
    """What the interval of the mean over splits allows for; nothing without one."""
    return [
        f"The interval of the mean over {source.n} splits allows for the examples that they share (Nadeau and Bengio "
        "2003): it is for training sets of this size from the same source, and does not shrink to nothing with more "
        "splits."
        for source in sources
        if source.validation_interval.is_known
    ]


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
    parts: list[Part] = [sources_table(sources), *map(Paragraph, split_sentence(sources)), Figure("sources", caption)]
    return Document(f"Sources of the spread of {name}", [sentence] if sentence else [], parts)


def write_sources(name: str, sources: Sequence[Source], folder: Path) -> Path:
    """Write page, table and figure as index.html and sources.md, .csv, .png and .svg in `folder`; return the page."""
    rows = [
        {"varied": s.varied, "study": s.study, "runs": s.n, "mean": s.mean, "std": s.std, "variance": s.variance}
        | {"variance_low": s.variance_interval.low, "variance_high": s.variance_interval.high}
        | {"metric": s.metric.name, "validation_mean": s.validation}
        | {"validation_low": s.validation_interval.low, "validation_high": s.validation_interval.high}
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
