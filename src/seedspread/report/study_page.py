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
from seedspread.report.repeat import commands, how_to_repeat
from seedspread.report.study_words import (
    black_swans,
    collapses,
    distribution,
    headline,
    pretraining,
    shortcomings,
    spreads,
    stability,
    test_headline,
    test_set_words,
)
from seedspread.report.tables import latex_table, numbers_table, results_table
from seedspread.report.tensorboard import write_run

METHODS = (
    "Scores that are fractions are shown as percent; std is the sample's (ddof = 1). 95 % intervals: Student's for the "
    "mean, Bonett's (2006) for the std, percentile bootstrap for the median and the interquartile mean (IQM, the "
    "mean of the middle half). The extremes have none: they move with the number of seeds. The paper is Picard 2021, ",
    Link("arXiv 2109.08203", "https://arxiv.org/abs/2109.08203"),
    ".",
)


def study_document(several: Sequence[Findings], captions: Mapping[str, str]) -> Document:
    """The whole report; `captions` are those of the figures that were drawn, by name."""

    def section(title: str, words: Callable[[Findings], Sequence[str]] | Sequence[str], *figures: str) -> Section:
        lines = words if not callable(words) else [line for found in several for line in words(found)]
        drawn = [Figure(name, captions[name]) for name in figures if name in captions]
        return Section(title, [*map(Paragraph, lines), *drawn])

    parts: list[Part] = [results_table(several)]
    parts += [note for found in several if (note := shortcomings_note(found.whole))]
    parts += [Figure("learning_curves", captions["learning_curves"])] if "learning_curves" in captions else []
    about_spread = ("histogram", "as_seeds_are_added", "spread_over_epochs", "losses")
    compares_pretraining = len(several) == 2 and any(found.pretrained for found in several)
    sections = [
        section("How are the scores distributed over seeds?", distribution, *about_spread),
        section('Are there "black swan" seeds?', black_swans, "sorted_scores"),
        section("How often was the test set looked at?", test_set_words, "validation_and_test"),
        section("How much of it is luck?", luck_section, "luck"),
        agreement_section(agreements(several), captions),
        section("Is the training stable?", stability, "gradient_norms"),
        section("Does pretraining shrink the spread?", pretraining(several), *["spreads"] * compares_pretraining),
    ]
    if len(several) > 1 and not compares_pretraining:
        sections.append(section("Do the spreads differ?", spreads(several), "spreads"))
    sections += [how_to_repeat(found.scores) for found in several]
    sections.append(Section("Methods", [Paragraph(METHODS)]))
    title = " and ".join(found.scores.title for found in several)
    lead = [line for found in several for line in (headline(found), *test_headline(found), *collapses(found))]
    lead += [found.scores.study.origin for found in several if found.scores.study.is_imported]
    return Document(title, lead, parts, [s for s in sections if s.parts])


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
            return page, found
        figures = {name: page.with_name(f"{name}.png") for name in ("learning_curves", "histogram")}
        figures = {name: path for name, path in figures.items() if path.exists()}
        texts: dict[str, Part] = {"table": results_table([found]), "how_to_repeat": commands(found.scores)}
        if note := shortcomings_note(found.whole):
            texts["note"] = note
        write_run(found, figures, {name: parts_to_markdown(part) for name, part in texts.items()})
    except OSError as error:
        raise unwritable_error(study.folder, error) from error
    return page, found


def write_side_by_side(several: Sequence[Findings]) -> Path:
    """Write the report of several studies as one, beside theirs; return the page. Raises InputError as `report`."""
    results = several[0].scores.study.folder.parent
    folder = combined_folder(results, "+".join(found.name for found in several))
    try:
        return _write_files(several, folder / report_folder(several[0].scores))
    except OSError as error:
        raise unwritable_error(folder, error) from error


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
    return folder / "index.html"
