"""The page on luck."""

from pathlib import Path

from seedspread.records.files import unwritable_error
from seedspread.report.figures import draw_figures
from seedspread.report.findings import Findings
from seedspread.report.markdown import html_page
from seedspread.report.page import luck_markdown


def write_luck(found: Findings) -> Path:
    """Write the page on luck of one study, beside its report; return it."""
    folder = found.scores.study.folder / "luck"
    try:
        folder.mkdir(exist_ok=True)
        text = luck_markdown(found, draw_figures([found], folder, only="luck"))
        (folder / "luck.md").write_text(text)
        (folder / "index.html").write_text(html_page(text, folder))
    except OSError as error:
        raise unwritable_error(folder, error) from error
    return folder / "index.html"
