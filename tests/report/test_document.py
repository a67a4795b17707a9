"""Pages: what is text stays text in HTML and in Markdown, and every part is rendered in both."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, strategies
from markdown_it import MarkdownIt

from seedspread.report.document import (
    Bullets,
    Code,
    Document,
    Emphasis,
    Figure,
    Link,
    Note,
    Paragraph,
    Section,
    Strong,
    Table,
    parts_to_markdown,
    render_html,
    render_markdown,
)

NAMES = (
    "<script>alert(1)</script>", "*x*", "**x**", "a|b", "_x_ a_b __c__", "$x$ $$", "~~x~~", "[x](http://y)", "&lt;",
    "![x](y)", "a\\*b\\", "one ` tick", "<!-- x", '" onload="x', "{{ 7 * 7 }}", "# x", "> x", "- x", "12. x", "C:\\x",
)  # fmt: skip
MARKUP = {"script", "em", "a", "s", "img", "del"}


class Reader(HTMLParser):
    """The text and the tags of an HTML page."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags = "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def read_markdown(text):
    return Reader(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))


def page_of(name):
    parts = [Paragraph(f"Of {name}."), Table([name, "n"], [[f"the {name}", "1"]]), Note([f"> {name}"]), Bullets([name])]
    return Document(name, [f"{name}: 1"], parts, [Section(name, [Code(f"study: {name}", "yaml", summary="config")])])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_on_the_page_whatever_it_holds(name):
    html = Reader(render_html(page_of(name), Path()).partition("</style>")[2])
    assert html.text.count(name) == 9 and not MARKUP & set(html.tags)
    text = render_markdown(page_of(name))
    markdown = read_markdown(text.replace(r"\$", "$"))  # the escape of dollar signs is GitHub's
    assert markdown.text.count(name) == 9 and not MARKUP & set(markdown.tags)
    assert not re.search(r"(?<!\\)\$", text.partition("```yaml")[0])


@given(strategies.text(strategies.sampled_from("ab *_|<>[]()\\~&;#x!-.:/\"'"), min_size=1, max_size=30))
def test_any_words_in_a_table_come_back_from_markdown(words):
    words = " ".join(words.split())
    table = read_markdown(parts_to_markdown(Table(["x", "y"], [[f"s{words}e", "1"]])))
    assert f"s{words}e" in table.text and table.tags.count("td") == 2 and not MARKUP & set(table.tags)


def test_backticks_make_code_and_a_single_one_does_not():
    part = Paragraph("Type `a|b <c> *d*`, not `e")
    assert "<code>a|b &lt;c&gt; *d*</code>, not `e" in render_html(Document("t", parts=[part]), Path())
    assert r"Type `a|b <c> *d*`, not \`e" in parts_to_markdown(part)
    assert r"| `a\|b` |" in parts_to_markdown(Table(["x"], [["`a|b`"]]))


def test_sections_have_addresses_that_github_gives_them_too():
    sections = [Section('What is a "black swan"?', [], "Swans"), Section("a_b + c", []), Section("a_b + c", [])]
    document = Document("t", sections=sections, up="../index.html")
    assert document.anchors[:2] == ["what-is-a-black-swan", "a_b--c"] and len(set(document.anchors)) == 3
    html = Reader(render_html(document, Path()).partition("</style>")[2])
    assert html.tags.count("nav") == 1 and html.text.split()[:3] == ["All", "studies", "Swans"]
    assert "<nav" not in render_html(Document("t", sections=sections[:1]), Path())


def test_a_page_is_dark_on_a_dark_screen_alone_and_prints_no_navigation():
    page = render_html(Document("t"), Path())
    assert "@media screen and (prefers-color-scheme: dark)" in page and "nav { display: none }" in page
    assert not re.search(r"url\(|@import|<script|<link", page)


def test_pictures_keep_their_colours_on_a_dark_page(tmp_path):
    for name in ("scores", "cats"):
        (tmp_path / f"{name}.svg").write_text('<svg width="403.2pt" height="1pt"/>')
    parts = [Figure("scores", "x", "a study"), Figure("cats", "y", pictures=True)]
    page = render_html(Document("t", parts=parts), tmp_path)
    assert (
        '<figure><img alt="scores of a study" style="--inches: 5.6"' in page and '<figure class="pictures"><img' in page
    )


def test_every_part_is_rendered_in_both(tmp_path):
    (tmp_path / "scores.svg").write_text("<svg/>")
    parts = [
        Paragraph(("See ", Link("the paper", "https://arxiv.org"), ".")),
        Table(["study", "seeds"], [[Strong("a"), Emphasis("2")]], numbers=1),
        Figure("scores", "Each score."), Note(["one", "two"]), Bullets(["x", "y"]), Code("a: ```", "yaml"),
    ]  # fmt: skip
    html = render_html(Document("t", ["lead"], parts), tmp_path)
    for expected in (
        "<title>t</title>", '<p class="lead">lead</p>', 'See <a href="https://arxiv.org">the paper</a>.',
        '<td><strong>a</strong></td><td class="number"><em>2</em></td>', "<figcaption>Each score.</figcaption>",
        'src="data:image/svg+xml;base64,PHN2Zy8+"', "<blockquote><p>one</p><p>two</p></blockquote>",
        "<ul><li>x</li><li>y</li></ul>", "<pre><code>a: ```</code></pre>",
    ):  # fmt: skip
        assert expected in html
    assert render_markdown(Document("t", ["lead"], parts)) == (
        "# t\n\n**lead**\n\nSee [the paper](https://arxiv.org).\n\n| study | seeds |\n|---|---:|\n| **a** | *2* |\n\n"
        "![scores](scores.png)\n*Each score.*\n\n> one  \n> two\n\n- x\n- y\n\n````yaml\na: ```\n````\n"
    )
