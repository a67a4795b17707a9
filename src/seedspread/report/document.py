"""A page as a document of parts, and its two renderings: one HTML file that needs no network, and Markdown.

Text is data: both templates escape it, and nothing in a study's name becomes markup. Only a pair of backticks has a
meaning: what stands between them is code.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent / "templates"
COLUMN = 4.2  # inches: the width of a figure that a telephone shows in full, its text as large as the page's notes


@dataclass(frozen=True)
class Strong:
    text: str


@dataclass(frozen=True)
class Emphasis:
    text: str


@dataclass(frozen=True)
class Link:
    text: str
    url: str


Text = str | Strong | Emphasis | Link | tuple["str | Strong | Emphasis | Link", ...]


@dataclass(frozen=True)
class Paragraph:
    text: Text


@dataclass(frozen=True)
class Note:
    """What a reader must not miss, a line each."""

    lines: Sequence[Text]


@dataclass(frozen=True)
class Bullets:
    items: Sequence[Text]


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as `head`; the columns from `numbers` on hold numbers and are aligned to the right."""

    head: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    numbers: int | None = None

    def holds_numbers(self, column: int) -> bool:
        return self.numbers is not None and column >= self.numbers


@dataclass(frozen=True)
class Figure:
    """A figure whose files NAME.png and NAME.svg lie beside the page; `of` says whose it is, for who cannot see it.

    Of `pictures` the colours are what is shown: a dark page leaves them as they are.
    """

    name: str
    caption: str
    of: str = ""
    pictures: bool = False

    @property
    def alt(self) -> str:
        return " ".join(filter(None, (self.name.replace("_", " "), self.of and f"of {self.of}")))


@dataclass(frozen=True)
class Code:
    """A block of code; folded under `summary` where there is one."""

    text: str
    language: str = ""
    summary: str = ""

    @property
    def fence(self) -> str:
        """The Markdown fence: longer than any run of backticks in the code."""
        return "`" * max(3, 1 + max(map(len, re.findall("`+", self.text)), default=0))


Part = Paragraph | Note | Bullets | Table | Figure | Code


@dataclass(frozen=True)
class Section:
    """`short` is its name in the navigation, and of the answer at the top of the page that it explains."""

    title: str
    parts: Sequence[Part]
    short: str = ""


@dataclass(frozen=True)
class AnswerLine:
    """An answer in a few words, and what qualifies it; `of` names the study where a page has several."""

    answer: str
    detail: str = ""
    of: str = ""
    known: bool = True


@dataclass(frozen=True)
class Answer:
    """An answer at the top of a page, explained by the section of the same short name where there is one."""

    short: str
    lines: Sequence[AnswerLine]


@dataclass(frozen=True)
class Document:
    """A page: its title, the answer in a sentence or two (`lead`), answers in a strip, what stands below, and sections.

    `up` is the address of the page that lists this one.
    """

    title: str
    lead: Sequence[str] = ()
    parts: Sequence[Part] = ()
    sections: Sequence[Section] = ()
    answers: Sequence[Answer] = ()
    up: str = ""

    @property
    def anchors(self) -> list[str]:
        """The address of each section on the page: the one that GitHub gives to its heading in Markdown."""
        found: list[str] = []
        for section in self.sections:
            anchor = re.sub(r"[^\w -]", "", section.title.lower()).replace(" ", "-") or "section"
            found.append(anchor if anchor not in found else f"{anchor}-{len(found)}")
        return found

    @property
    def navigation(self) -> list[tuple[str, str]]:
        """The short name and the address of each section; of several with one name the first."""
        found: dict[str, str] = {}
        for section, anchor in zip(self.sections, self.anchors, strict=True):
            found.setdefault(section.short or section.title, anchor)
        return list(found.items())

    def anchor_of(self, answer: Answer) -> str:
        """The address of the section that explains an answer; empty where there is none."""
        anchor = dict(self.navigation).get(answer.short)
        return f"#{anchor}" if anchor else ""


class Drawing(NamedTuple):
    """A figure within a page: its SVG in base64, and its width in inches."""

    data: str
    inches: float


def render_html(document: Document, folder: Path) -> str:
    """The document as one HTML file, with its figures, NAME.svg in `folder`, as data within it."""

    def drawing(name: str) -> Drawing:
        svg = (folder / f"{name}.svg").read_bytes()
        width = re.search(rb'<svg[^>]* width="([\d.]+)pt"', svg[:2000])
        return Drawing(base64.b64encode(svg).decode(), round(float(width[1]) / 72, 2) if width else COLUMN)

    return render_page("page.html.j2", document=document, drawing=drawing)


def render_page(template: str, **values: object) -> str:
    """A template of HTML with these values, all of them escaped."""
    return _HTML.get_template(template).render(**values)


def render_markdown(document: Document) -> str:
    """The document in GitHub's Markdown; figures are NAME.png beside it."""
    return _MARKDOWN.get_template("page.md.j2").render(document=document).strip() + "\n"


def write_document(document: Document, folder: Path, name: str) -> None:
    """Write both renderings, index.html and NAME.md, into `folder`, where the figures lie already."""
    (folder / "index.html").write_text(render_html(document, folder))
    (folder / f"{name}.md").write_text(render_markdown(document))


def parts_to_markdown(*parts: Part) -> str:
    """These parts alone in Markdown, for a terminal or TensorBoard."""
    return render_markdown(Document("", parts=parts)).rstrip("\n")


def escape_markdown(text: str, in_table: bool = False) -> str:
    """Text in which nothing is markup but code in backticks; within a table `|` is escaped in code as well."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    code = [part.replace("|", r"\|") if in_table else part for part in parts[1::2]]
    words = [re.sub(r"([\\`*|\[\]$~]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", part) for part in parts[::2]]
    words = [re.sub(r"&(?=#?\w+;)", "&amp;", part) for part in words]
    words = [re.sub(r"<(?=[A-Za-z/!?])", "&lt;", part) for part in words]
    words[0] = re.sub(r"^(?=>|[#=+-]+(\s|$))", r"\\", words[0])  # a heading, a quote or a list at the start of a line
    words[0] = re.sub(r"^(\d+)(?=[.)](\s|$))", r"\1\\", words[0])
    return "".join(part for pair in zip(words, [*code, ""], strict=True) for part in pair)


def _inline_html(text: Text) -> Markup:
    if isinstance(text, tuple):
        return Markup("").join(map(_inline_html, text))
    if isinstance(text, Link):
        return Markup('<a href="{}">{}</a>').format(text.url, text.text)
    if isinstance(text, Strong | Emphasis):
        return Markup("<{0}>{1}</{0}>").format("strong" if isinstance(text, Strong) else "em", _inline_html(text.text))
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts))


def _number_html(text: Text) -> Markup:
    """A cell that holds a number, which may break before a bracket alone."""
    if isinstance(text, str):
        return _inline_html(re.sub(r" (?!\()", "\u00a0", text))
    return _inline_html(text)


def _inline_markdown(text: Text, in_table: bool = False) -> Markup:
    if isinstance(text, tuple):
        return Markup("").join(_inline_markdown(part, in_table) for part in text)
    if isinstance(text, Link):
        return Markup(f"[{escape_markdown(text.text)}]({text.url})")
    if isinstance(text, Strong | Emphasis):
        mark = "**" if isinstance(text, Strong) else "*"
        return Markup(f"{mark}{escape_markdown(text.text, in_table)}{mark}") if text.text else Markup("")
    # Spaces at the ends part it from its neighbours.
    start, end = (" " * (text[:1] == " "), " " * (text[-1:] == " ")) if text.strip() else ("", "")
    return Markup(start + escape_markdown(text, in_table) + end)


def _environment(inline: object) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # in Markdown too: `inline` hands over what is escaped already
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline"] = inline
    return environment


_HTML, _MARKDOWN = _environment(_inline_html), _environment(_inline_markdown)
_HTML.filters["number"] = _number_html
