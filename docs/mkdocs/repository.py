"""mkdocs hook: README.md is the site's first page, and files outside docs/ that a page links to are pages too.

So a link that works in the repository, `../CHANGELOG.md` or `docs/luck.md`, works on the site, and nothing is copied.
"""

import json
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File, InclusionLevel
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).resolve().parents[2]
# A code block, which stays as it is; or the target of a link, or of an image in HTML, without its anchor.
LINK = re.compile(
    r"^```.*?^```|(?P<before>\]\(|\b(?:src|href|srcset)=\")(?P<link>[^)\"\s#]+)", re.DOTALL | re.MULTILINE
)
LANGUAGES = {".py": "python", ".sh": "bash", ".yaml": "yaml"}


def slugify(heading: str, separator: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def _on_site(path: str) -> str:
    """Where on the site a file of the repository is; both as paths with slashes."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"repository/{path}" if path.endswith(".md") else f"repository/{path}.md"


def _in_repository(uri: str) -> str:
    """The file of the repository that a page was made of."""
    if uri == "index.md":
        return "README.md"
    return uri.removeprefix("repository/") if uri.startswith("repository/") else f"docs/{uri}"


def _target(page: str, link: str) -> str | None:
    """The file that `link` on the file `page` leads to, both within the repository; None for an address elsewhere."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
    return path if (ROOT / path).is_file() else None


def _read(path: str) -> str:
    """A file of the repository as Markdown: cells of a notebook, other code in a block."""
    text = (ROOT / path).read_text()
    if path.endswith(".ipynb"):
        cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
        return "\n\n".join(source if kind == "markdown" else f"```python\n{source}\n```" for kind, source in cells)
    name = posixpath.basename(path)
    return text if path.endswith(".md") else f"# {name}\n\n```{LANGUAGES.get(Path(path).suffix, '')}\n{text}\n```\n"


def _linked_outside(path: str) -> list[str]:
    """The files outside docs/ that a file links to."""
    links = (match["link"] for match in LINK.finditer(_read(path)) if match["link"])
    found = [target for link in links if (target := _target(path, link))]
    return [target for target in found if not target.startswith("docs/")]


def on_config(config):
    config.mdx_configs["toc"] = {**config.mdx_configs.get("toc", {}), "slugify": slugify}
    return config


def on_files(files, config):
    """Add README.md and what is linked from any page, and the colours of code."""
    pages = [_in_repository(file.src_uri) for file in files.documentation_pages()]
    todo, added = ["README.md", *(outside for page in pages for outside in _linked_outside(page))], set()
    while todo:
        if (path := todo.pop()) not in added:
            added.add(path)
            level = InclusionLevel.INCLUDED if path.endswith(".md") else InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, _on_site(path), content=_read(path), inclusion=level))
            todo += _linked_outside(path)
    css = Path(__file__).with_name("mkdocs.css")
    files.append(File.generated(config, css.name, content=css.read_text()))
    light, dark = (HtmlFormatter(style=style).get_style_defs(".codehilite") for style in ("default", "github-dark"))
    files.append(File.generated(config, "pygments.css", content=f"{light}\n[data-bs-theme=dark] {{\n{dark}\n}}\n"))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn links between files of the repository into links between pages of the site."""
    here = _in_repository(page.file.src_uri)

    def relink(match: re.Match) -> str:
        target = _target(here, match["link"]) if match["link"] else None
        if target is None:
            return match[0]
        return match["before"] + posixpath.relpath(_on_site(target), posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(relink, markdown)
