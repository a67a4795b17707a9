"""README.md, docs/ and their site: links lead somewhere, and command lines are ones that the program accepts."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from mkdocs.commands.build import build
from mkdocs.config import load_config
from PIL import Image

import seedspread as ss
from seedspread.commands.audit import split_training
from seedspread.commands.cli import COMMANDS, PROGRAMS, TEXTS, main, split_program
from seedspread.config.check import check_config, known_keys
from seedspread.config.compose import CONF
from seedspread.config.overrides import gather_paths, quote_overrides, quote_text
from seedspread.config.schema import SCHEMAS, Train

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
MKDOCS = ROOT / "docs" / "mkdocs"
PLACES = {"experiment=NAME": "experiment=digits", "seed=range(0,N)": "seed=range(0,20)", "key=value": "results=results"}
PLACES["backbone.checkpoint=PATH"] = f"backbone.checkpoint={ROOT}/README.md"  # a file that is there
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text()))
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 140


def test_the_site(tmp_path):
    """It has every page, needs no network, and its reference has every key that somebody may set."""
    build(load_config(str(MKDOCS / "mkdocs.yml"), site_dir=str(tmp_path)))  # strict: a link that leads nowhere ends it
    for page in (ROOT / "docs").rglob("*.md"):
        place = page.with_name("index.html") if page.name == "README.md" else page.with_suffix(".html")
        assert (tmp_path / place.relative_to(ROOT / "docs")).exists()
    for page in tmp_path.rglob("*.html"):
        for link in re.findall(r'<(?:script|img|link)\b[^>]*?(?:src|href)="([^"]+)"', page.read_text()):
            assert (page.parent / link.partition("?")[0]).exists() or page.name == "404.html", f"{page.name}: {link}"

    commands, keys = ((tmp_path / "reference" / f"{name}.html").read_text() for name in ("commands", "keys"))
    for command, schema in SCHEMAS.items():
        own = {name for name, key in schema.keys.items() if not key.refused and Train.keys.get(name) != key}
        assert f'<h2 id="{command}">' in commands
        assert schema is Train or all(re.search(rf"<td><code>{name}\b", commands) for name in own), command
    for name in known_keys(Train):
        assert re.search(rf'<td><code>{name}\b|<h2 id="{name}"', keys), name


def code_of(text: str) -> list[str]:
    """The lines of code blocks, continued ones joined, and the code within sentences."""
    blocks = "\n".join(FENCE.findall(text)).replace("\\\n", " ").splitlines()
    return [*blocks, *(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCE.sub("", text)))]


def command_lines() -> list[tuple[str, tuple[str, ...]]]:
    """Each command that the pages name, with its arguments, once."""
    found = {}
    for page in PAGES:
        text = page.read_text()
        if page.parent.name == "tutorials":  # tests/test_tutorials.py runs these
            text = re.sub(r"^```bash\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        for line in code_of(text):
            words = (
                shlex.split(line, comments=True) if re.match(r"seedspread |python -m (src|seedspread)\b", line) else []
            )
            if words[:1] == ["seedspread"]:
                found[words[1], tuple(words[2:])] = None
            elif words:
                assert words[2] == "src.train", f"{page.name}: {line}"
                found["train", tuple(words[3:])] = None
    return list(found)


@pytest.fixture
def configs():
    with initialize_config_dir(CONF, version_base="1.3"):
        yield


@pytest.mark.parametrize(
    "command, arguments", command_lines(), ids=lambda part: part if isinstance(part, str) else " ".join(part)
)
def test_command_lines_are_accepted(command, arguments, configs):
    if command == "COMMAND":
        return
    assert command in COMMANDS
    arguments = quote_overrides(arguments, ["baseline", "candidate"])
    if command == "audit" and "--" not in arguments:
        arguments, trained = split_training(arguments)
        if overrides := trained[trained.index("train") + 3 :] if trained else []:  # past seed= and results=
            test_command_lines_are_accepted("train", overrides, configs)
    if command in PROGRAMS:
        arguments = [quote_text(argument, TEXTS) for argument in split_program(arguments)[0]]
    if command == "import":
        arguments = gather_paths([quote_text(a, ["seed_from"]) for a in arguments], "logs", SCHEMAS["import"].keys)
    overrides = [PLACES.get(argument, argument) for argument in arguments if argument not in ("-m", "--help")]
    values = [
        f"{override.input_line.partition('=')[0]}={next(override.sweep_string_iterator())}"
        if override.is_sweep_override()
        else override.input_line
        for override in OverridesParser.create().parse_overrides(overrides)
    ]
    cfg = compose(command, values, return_hydra_config=True)
    check_config(cfg, SCHEMAS[command])


def test_keys_within_sentences_exist():
    groups = {path.name for path in Path(CONF).iterdir() if path.is_dir()}
    for page in PAGES:
        for key in re.findall(r"`([a-z][\w.]*)=", FENCE.sub("", page.read_text())):
            assert (
                key in {"key", *known_keys(), *groups} or key.split(".")[0] == "trainer" or key.endswith("._target_")
            ), f"{page.name}: {key}="


def test_named_files_exist():
    folders = (ROOT, ROOT / "src", ROOT / "src" / "seedspread", ROOT / "benchmarks")
    for page in PAGES:
        for name in re.findall(r"`([\w/]+\.(?:py|sh))`", page.read_text()):
            saved = f"\n# {name}\n" in page.read_text()  # by the reader of a tutorial
            assert saved or any((folder / name).exists() for folder in folders), f"{page.name}: {name}"


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    lines = [line for page in PAGES for line in code_of(page.read_text()) if re.match(r"make [a-z]", line)]
    assert lines
    for line in lines:
        for word in shlex.split(line, comments=True)[1:]:
            name, given, _ = word.partition("=")
            assert re.search(rf"\$\(.*\b{name}\b", makefile) if given else name in targets, f"{line}: {word}"


def test_names_of_the_api_exist():
    for page in PAGES:
        for name in re.findall(r"\bss\.(\w+)", page.read_text()):
            assert name in ss.__all__, f"{page.name}: ss.{name}"
        for name in re.findall(r"\b(?:st|statistics)\.([a-z]\w+)\(", page.read_text()):
            assert hasattr(ss.statistics, name), f"{page.name}: statistics.{name}"


def test_the_python_of_the_readme_runs(study):
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    names = {}
    exec(block.replace("results/digits", str(study.folder)), names)
    assert len(names["scores"].final) == 24 and ss.seeds_needed(std=0.23, difference=0.1) == 84


@pytest.mark.draws
def test_the_figure_is_drawn_from_records(study, tmp_path):
    runpy.run_path(str(ROOT / "docs" / "draw_figure.py"))["main"](study.folder, tmp_path / "figure.png")
    drawn, committed = (Image.open(path) for path in (tmp_path / "figure.png", ROOT / "docs" / "digits.png"))
    assert drawn.size == committed.size and len(drawn.convert("RGB").getcolors(1 << 20)) > 20


@pytest.mark.slow
def test_numbers_are_what_their_commands_say(tmp_path, invoked, monkeypatch):
    """Each number of docs/numbers.md, from the published studies."""
    monkeypatch.chdir(tmp_path)

    def run(arguments, _folder):
        code, out, err = invoked(main, *arguments)
        assert code != 1, err  # others are verdicts of decide
        return out

    assert list(runpy.run_path(str(ROOT / "docs" / "check_numbers.py"))["check"](run, tmp_path)) == []
