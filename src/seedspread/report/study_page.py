"""The report of one study, or of several side by side: all its files."""

from collections.abc import Sequence
from pathlib import Path

from seedspread.records.files import combined_folder, draft_folder, unwritable_error
from seedspread.records.scores import NothingFinished, Scores
from seedspread.records.study import Study
from seedspread.records.tables import curves_table, seeds_table
from seedspread.report.figures import draw_figures
from seedspread.report.findings import Findings
from seedspread.report.markdown import html_page
from seedspread.report.page import markdown_page
from seedspread.report.repeat import commands, shortcomings_note
from seedspread.report.tables import latex_table, numbers_table, results_table
from seedspread.report.tensorboard import write_run


def write_reports(studies: Sequence[Study]) -> tuple[Path, list[Findings]]:
    """Write the report of one study, or of each of several and of all side by side; return the page and its numbers.

    Of several, those without a finished seed are left out and named. Raises InputError where none has one, or where
    curves have different lengths.
    """
    several = []
    for study in studies:
        try:
            page, found = write_report(study)
            several.append(found)
        except NothingFinished as error:
            if len(studies) == 1:
                raise
            print(f"left out: {error}", flush=True)
    if not several:
        raise NothingFinished(f"none of {', '.join(study.name for study in studies)} has a finished seed")
    return write_side_by_side(several) if len(several) > 1 else page, several


def write_report(study: Study) -> tuple[Path, Findings]:
    """Write the report of one study and its TensorBoard run; return the page and its numbers.

    Raises NothingFinished where no seed is finished, InputError where curves have different lengths.

    >>> page, findings = ss.write_report(ss.Study.load("results/quick"))
    >>> print(page)
    results/quick/report/index.html
    """
    found = Findings.of(Scores.of(study))
    try:
        page = _write_files([found], study.folder / "report")
        figures = {name: page.with_name(f"{name}.png") for name in ("learning_curves", "histogram")}
        texts = {"table": results_table([found]), "how_to_repeat": commands(found.scores)}
        write_run(found, figures, texts | ({"note": note} if (note := shortcomings_note(found.scores)) else {}))
    except OSError as error:
        raise unwritable_error(study.folder, error) from error
    return page, found


def write_side_by_side(several: Sequence[Findings]) -> Path:
    """Write the report of several studies as one, beside theirs; return the page. Raises InputError as `report`."""
    results = several[0].scores.study.folder.parent
    folder = combined_folder(results, "+".join(found.name for found in several))
    try:
        return _write_files(several, folder / "report")
    except OSError as error:
        raise unwritable_error(folder, error) from error


def _write_files(several: Sequence[Findings], folder: Path) -> Path:
    """Write the files of one report into `folder`: all of them, or where something fails none."""
    with draft_folder(folder) as draft:
        text = markdown_page(several, draw_figures(several, draft))
        (draft / "report.md").write_text(text)
        (draft / "index.html").write_text(html_page(text, draft))
        (draft / "table.tex").write_text(latex_table(several))
        numbers_table(several).to_csv(draft / "table.csv", index=False)
        if len(several) == 1:
            seeds, curves = seeds_table(several[0].scores), curves_table(several[0].scores)
            seeds.to_csv(draft / "seeds.csv", index=False)
            seeds.to_parquet(draft / "seeds.parquet", index=False)
            curves.to_parquet(draft / "curves.parquet", index=False)
    return folder / "index.html"
