"""How much of a study's spread is luck, as a page of its own."""

from collections.abc import Mapping
from pathlib import Path

from seedspread.records.files import draft_folder, unwritable_error
from seedspread.report.document import Document, Figure, Paragraph, write_document
from seedspread.report.figures import draw_figures
from seedspread.report.findings import Findings
from seedspread.report.luck_words import luck_words
from seedspread.report.study_words import headline


def luck_document(found: Findings, captions: Mapping[str, str]) -> Document:
    """The page; `captions` are those of the figures that were drawn, by name."""
    drawn = [Figure(name, caption) for name, caption in captions.items()]
    title = f"How much of {found.name} is luck?"
    return Document(title, [headline(found)], [*map(Paragraph, luck_words(found)), *drawn])


def write_luck(found: Findings) -> Path:
    """Write the page on the luck of one study beside its report; return it."""
    folder = found.scores.study.folder / "luck"
    try:
        with draft_folder(folder) as draft:
            write_document(luck_document(found, draw_figures([found], draft, only="luck")), draft, "luck")
    except OSError as error:
        raise unwritable_error(folder, error) from error
    return folder / "index.html"
