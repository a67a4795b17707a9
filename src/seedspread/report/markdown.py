"""Markdown, and the one page of HTML that is made of it."""

import base64
import html
import re
from collections.abc import Mapping
from pathlib import Path

import markdown

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #1a1a1a; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { margin-top: 2.4rem; border-bottom: 1px solid #ddd } h1 + p { font-size: 1.15rem }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; margin: 1rem 0 }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
div.wide { overflow-x: auto } td em { color: #5f5f5f }
img { max-width: 100%; display: block; margin: 1.5rem auto .3rem } img + em { display: block; color: #5f5f5f }
code, pre { font-size: .85rem; background: #f5f5f5 } pre { padding: .8rem; overflow-x: auto; white-space: pre-wrap }
code { overflow-wrap: anywhere }
blockquote { margin: 1rem 0; padding: .1rem 1rem; border-left: 4px solid #D55E00; background: #fdf3ee }
@media print { body { max-width: none; font-size: 11px } img, table { break-inside: avoid } }
"""


def format_figures(captions: Mapping[str, str]) -> dict[str, str]:
    """Figures in Markdown by name, NAME.png beside the page."""
    return {name: f"![{name.replace('_', ' ')}]({name}.png)\n*{caption}*" for name, caption in captions.items()}


def html_page(text: str, folder: Path) -> str:
    """`text`, a Markdown report whose figures lie in `folder`, as one page with the figures (SVG) inside."""

    def inlined(match: re.Match[str]) -> str:
        picture = base64.b64encode((folder / f"{match[1]}.svg").read_bytes()).decode()
        return f'src="data:image/svg+xml;base64,{picture}"'

    body = markdown.markdown(text, extensions=["tables", "fenced_code", "md_in_html"])
    body = re.sub(r'src="([a-z_]+)\.png"', inlined, body)
    body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    title = html.escape(text.splitlines()[0].removeprefix("# "))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def escape_markdown(text: str) -> str:
    """Text in which nothing is taken for HTML or, but for code in backticks, for emphasis."""
    parts = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(text.split())).split("`")
    marks = r"([*|\[\]]|\b_|_\b)"
    return "`".join(part if i % 2 else re.sub(marks, r"\\\1", part) for i, part in enumerate(parts))
