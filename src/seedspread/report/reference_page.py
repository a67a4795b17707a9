"""A comparison with a published result or a target as a page, a table, a figure and text for a terminal."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from seedspread.decide.reference import PublishedComparison, TargetComparison, reference_row
from seedspread.records.files import draft_folder, unwritable_error
from seedspread.report.comparison_page import arms_table
from seedspread.report.document import Bullets, Document, Figure, Part, Section, Table, write_document
from seedspread.report.drawing import save_figure
from seedspread.report.figures import reference_figure
from seedspread.report.reference_words import reference_name, reference_notes, reference_rows, reference_sentence

Comparisons = Sequence[PublishedComparison] | Sequence[TargetComparison]


def reference_document(found: Comparisons) -> Document:
    """The page: verdicts, scores of the candidates beside the number, then what each verdict rests on."""
    title = f"{' and '.join(c.candidate.name for c in found)} against {reference_name(found[0])}"
    head: list[Part] = [Figure("compare", _caption(found[0])), _table(found)]
    lead = [reference_sentence(c) for c in found]
    parts = [_parts(c) for c in found]
    if len(found) == 1:
        return Document(title, lead, [*head, *parts[0]])
    return Document(title, lead, head, [Section(c.candidate.name, p) for c, p in zip(found, parts, strict=True)])


def _caption(c: PublishedComparison | TargetComparison) -> str:
    if isinstance(c, PublishedComparison):
        return (
            "The score of each seed, their density, and the mean with its 95 % interval; dashed and grey, the "
            "published mean ± std."
        )
    return (
        "The score of each seed, their density, and the mean with its 90 % interval, whose ends are the one-sided 95 % "
        "bounds; dashed, the target."
    )


def _parts(c: PublishedComparison | TargetComparison) -> list[Part]:
    return [Table(["test or estimate", "result"], reference_rows(c)), Bullets(reference_notes(c))]


def _table(found: Comparisons) -> Table:
    """The candidates' scores, under the published ones as far as these are known."""
    first = found[0]
    table = arms_table([c.candidate for c in found], first.metric)
    if not isinstance(first, PublishedComparison):
        return table
    known = ("published", f"{first.published.n:,}", f"{first.published.mean:.10g} ± {first.published.std:.10g}")
    unknown = ["unknown"] * (len(table.head) - len(known))
    return replace(table, rows=[(*known, *unknown), *table.rows])


def write_reference(found: Comparisons, folder: Path) -> None:
    """Write index.html, compare.md, compare.csv and the figure as compare.png and compare.svg."""
    first = found[0]
    if isinstance(first, PublishedComparison):
        number, std, name = first.published.mean, first.published.sample_std, reference_name(first)
    else:
        number, std, name = first.target, 0.0, f"the target {reference_name(first)}"
    figure = reference_figure([c.candidate for c in found], first.metric, number, std, name)
    try:
        with draft_folder(folder) as draft:
            save_figure(figure, draft, "compare")
            write_document(reference_document(found), draft, "compare")
            pd.DataFrame([reference_row(c) for c in found]).to_csv(draft / "compare.csv", index=False)
    except OSError as error:
        raise unwritable_error(folder, error) from error


def format_reference(c: PublishedComparison | TargetComparison) -> str:
    """The table of numbers and the notes for a terminal."""
    table = reference_rows(c)
    width = max(len(what) for what, _ in table)
    lines = [f"  {what:<{width}}  {result}" for what, result in table]
    return "\n".join([*lines, *(f"  - {note.replace('`', '')}" for note in reference_notes(c))])
