"""The report of one study, or of several side by side: the page, the tables and the TensorBoard run."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from seedspread.config.errors import InputError
from seedspread.records.files import combined_folder, draft_folder, unwritable_error
from seedspread.records.metric import Metric
from seedspread.records.scores import NothingFinished, Scores
from seedspread.records.study import Study
from seedspread.records.tables import curves_table, seeds_table
from seedspread.report.agreement import Agreement
from seedspread.report.agreement_figures import draw_agreement
from seedspread.report.agreement_page import agreement_section
from seedspread.report.answers import (
    LUCK,
    MEANS,
    PRETRAINING,
    SPREAD,
    STDS,
    SWANS,
    answers,
    means_answer,
    spreads_answer,
)
from seedspread.report.document import (
    Document,
    Figure,
    Link,
    Note,
    Paragraph,
    Part,
    Section,
    parts_to_markdown,
    write_document,
)
from seedspread.report.figures import draw_figures
from seedspread.report.findings import Findings
from seedspread.report.luck_words import luck_section
from seedspread.report.means import compare_means
from seedspread.report.repeat import commands, how_to_repeat
from seedspread.report.results_index import write_index
from seedspread.report.study_words import (
    black_swans,
    collapses,
    compared_in_pairs,
    compared_with_scratch,
    count_noun,
    distribution,
    headline,
    pretraining,
    shortcomings,
    spreads,
    stability,
    test_headline,
    test_set_words,
)
from seedspread.report.summary import Summary
from seedspread.report.tables import latex_table, numbers_table, results_table
from seedspread.report.tensorboard import write_run

Words = Callable[[Findings], Sequence[str]]
METHODS = (
    "Scores that are fractions are shown as percent; std is the sample's (ddof = 1). 95 % intervals: Student's for the "
    "mean, Bonett's (2006) for the std, percentile bootstrap for the median and the interquartile mean (IQM, the "
    "mean of the middle half). The extremes have none: they move with the number of seeds. The paper is Picard 2021, ",
    Link("arXiv 2109.08203", "https://arxiv.org/abs/2109.08203"),
    ".",
)


def study_document(several: Sequence[Findings], captions: Mapping[str, str]) -> Document:
    """The whole report; `captions` are those of the figures that were drawn, by name."""

    def drawn(*names: str) -> list[Part]:
        whose = " and ".join(f"{found.name}, {count_noun(found.n, 'seed')}" for found in several)
        return [Figure(name, captions[name], whose) for name in names if name in captions]

    def section(short: str, title: str, words: Words | Sequence[str], *figures: str) -> Section:
        lines = words if not callable(words) else [line for found in several for line in words(found)]
        return Section(title, [*map(Paragraph, lines), *drawn(*figures)], short)

    parts: list[Part] = [results_table(several)]
    parts += [note for found in several if (note := shortcomings_note(found.whole))]
    parts += drawn("learning_curves")
    about_spread = ("histogram", "as_seeds_are_added", "spread_over_epochs", "losses")
    compares_pretraining = len(several) == 2 and any(found.pretrained for found in several)
    on_spreads = ["spreads"] * compares_pretraining
    sections = [
        section(SPREAD, "How are the scores distributed over seeds?", distribution, *about_spread),
        section(SWANS, 'Are there "black swan" seeds?', black_swans, "sorted_scores"),
        section("Test set", "How often was the test set looked at?", test_set_words, "validation_and_test"),
        section(LUCK, "How much of it is luck?", luck_section, "luck"),
        agreement_section(agreements(several), captions),
        section("Stability", "Is the training stable?", stability, "gradient_norms"),
        section(PRETRAINING, "Does pretraining shrink the spread?", pretraining(several), *on_spreads),
    ]
    found_answers = answers(several)
    if any(found.pretrained for found in several) and not all(found.pretrained for found in several):
        found_answers.append(spreads_answer(PRETRAINING, several, compared_with_scratch(several)))
    if len(several) > 1 and not compares_pretraining:
        sections.append(section(STDS, "Do the spreads differ?", spreads(several), "spreads"))
        alike = [
            c for c in compared_in_pairs(several) if c.one.pretrained == c.other.pretrained
        ]  # the others answer the question above
        if alike:
            found_answers.append(spreads_answer(STDS, several, alike))
    if len(several) > 1:
        compared = compare_means(several)
        sections.append(section(MEANS, f"Does a mean differ from that of {several[0].name}?", compared.words))
        found_answers.append(means_answer(compared))
    sections += [how_to_repeat(found.scores) for found in several]
    sections.append(Section("Methods", [Paragraph(METHODS)]))
    title = " and ".join(found.scores.title for found in several)
    lead = [line for found in several for line in (headline(found), *test_headline(found), *collapses(found))]
    lead += [found.scores.study.origin for found in several if found.scores.study.is_imported]
    return Document(title, lead, parts, [s for s in sections if s.parts], found_answers, up="../../index.html")


def agreements(several: Sequence[Findings]) -> list[Agreement]:
    """What the seeds of those studies predicted that have predicted labels."""
    return [found.agreement for found in several if found.agreement is not None]


def shortcomings_note(scores: Scores) -> Note | None:
    """What is missing, diverged, failed, damaged or mixed, as a note; None where nothing is."""
    if not (lines := shortcomings(scores)):
        return None
    return Note([f"{scores.name}: these numbers come from {len(scores.seeds):,} finished seeds.", *lines])


def write_reports(studies: Sequence[Study], metric: Metric | str | None = None) -> tuple[Path, list[Findings]]:
    """Write the report of one study, or of each of several and of all side by side; return the page and its numbers.

    Of several, those without a finished seed are left out and named. Raises InputError where none has one, or where
    they are scored by different metrics.
    """
    metrics = [_find_metric(study, metric) for study in studies]
    if len({(found.name, found.direction, found.symbol) for found in metrics}) > 1:
        each = "; ".join(f"{study.name}: {found.describe()}" for study, found in zip(studies, metrics, strict=True))
        raise InputError(f"study=: scored by different metrics ({each}); name one that all record, metric=NAME")
    several = []
    for study in studies:
        try:
            page, found = write_report(study, metric)
            several.append(found)
        except NothingFinished as error:
            if len(studies) == 1:
                raise
            print(f"left out: {error}", flush=True)
    if not several:
        raise NothingFinished(f"none of {', '.join(study.name for study in studies)} has a finished seed")
    return write_side_by_side(several) if len(several) > 1 else page, several


def _find_metric(study: Study, metric: Metric | str | None) -> Metric:
    return study.find_metric(metric) if isinstance(metric, str) else metric or study.metric


def report_folder(scores: Scores) -> str:
    """The name of the folder of a report: one of its own for another metric than the study's."""
    if scores.metric.name == scores.study.metric.name:
        return "report"
    return "report-" + re.sub(r"[^\w.-]", "_", scores.metric.name)


def write_report(study: Study, metric: Metric | str | None = None) -> tuple[Path, Findings]:
    """Write the report of one study and its TensorBoard run; return the page and its numbers.

    The report on another metric than the study's is a page alone, in a folder of its own. Raises NothingFinished where
    no seed is finished, InputError where the metric is not recorded.

    >>> page, findings = ss.write_report(ss.Study.load("results/quick"))
    >>> print(page)
    results/quick/report/index.html
    """
    found = Findings.of(Scores.of(study, metric))
    try:
        page = _write_files([found], study.folder / report_folder(found.scores))
        if found.scores.metric.name != study.metric.name:
            _list_studies(study.folder.parent)
            return page, found
        figures = {name: page.with_name(f"{name}.png") for name in ("learning_curves", "histogram")}
        figures = {name: path for name, path in figures.items() if path.exists()}
        texts: dict[str, Part] = {"table": results_table([found]), "how_to_repeat": commands(found.scores)}
        if note := shortcomings_note(found.whole):
            texts["note"] = note
        write_run(found, figures, {name: parts_to_markdown(part) for name, part in texts.items()})
    except OSError as error:
        raise unwritable_error(study.folder, error) from error
    _list_studies(study.folder.parent)
    return page, found


def _list_studies(results: Path) -> None:
    """Write the index of the folder of results; a report is whole without it."""
    try:
        write_index(results)
    except OSError as error:
        print(f"not written: {results / 'index.html'}: {error.strerror or error}", flush=True)


def write_side_by_side(several: Sequence[Findings]) -> Path:
    """Write the report of several studies as one, beside theirs; return the page.

    Raises InputError where the folder of that name is a study itself.
    """
    results = several[0].scores.study.folder.parent
    folder = combined_folder(results, "+".join(found.name for found in several))
    try:
        page = _write_files(several, folder / report_folder(several[0].scores))
    except OSError as error:
        raise unwritable_error(folder, error) from error
    _list_studies(results)
    return page


def _write_files(several: Sequence[Findings], folder: Path) -> Path:
    """Write the files of one report into `folder`: all of them, or none where one fails."""
    with draft_folder(folder) as draft:
        captions = draw_figures(several, draft) | draw_agreement(agreements(several), draft)
        document = study_document(several, captions)
        write_document(document, draft, "report")
        (draft / "table.tex").write_text(latex_table(several))
        numbers_table(several).to_csv(draft / "table.csv", index=False)
        if len(several) == 1:
            seeds, curves = seeds_table(several[0].whole), curves_table(several[0].whole)
            seeds.to_csv(draft / "seeds.csv", index=False)
            seeds.to_parquet(draft / "seeds.parquet", index=False)
            curves.to_parquet(draft / "curves.parquet", index=False)
            Summary.of(several[0], document.answers).write(draft)
    return folder / "index.html"
