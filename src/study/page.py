"""A report as text (Markdown), as one page that needs no network, and as tables for papers and for pandas."""

import base64
import html
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import markdown
import pandas as pd
import yaml

from src.study import verdict_in_words
from src.study.findings import (
    Findings,
    black_swans,
    distribution,
    headline,
    pretraining,
    shortcomings,
    spreads,
    stability,
    within,
)
from src.study.luck import told
from src.study.paper import paper_row
from src.study.progress import duration
from src.study.scores import Scores, few
from src.study.statistics import Interval
from src.study.store import flattened
from src.study.verdict import Compared

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


def markdown_page(several: Sequence[Findings], figures: Mapping[str, str]) -> str:
    """The whole report in Markdown; `figures` are captions by name, their files NAME.png beside it."""
    drawn = captioned(figures)

    def section(title: str, words: Iterable[str], *names: str) -> list[str]:
        return [f"## {title}", *map(plain, words), *(drawn[name] for name in names if name in drawn)]

    parts = [f"# {plain(' and '.join(found.name for found in several))}"]
    parts += [f"**{plain(headline(found))}**" for found in several]
    parts += [results_table(several), *(note for found in several if (note := stands_on(found.scores)))]
    parts.append(drawn["learning_curves"])
    words = (line for found in several for line in distribution(found))
    about_spread = ("histogram", "as_seeds_are_added", "spread_over_epochs", "losses")
    parts += section("How are the scores distributed over seeds?", words, *about_spread)
    words = (line for found in several for line in black_swans(found))
    parts += section('Are there "black swan" seeds?', words, "sorted_accuracies")
    parts += section("How much of it is luck?", luck_in_words(several), "luck")
    if words_on_stability := [line for found in several for line in stability(found)]:
        parts += section("Is the training stable?", words_on_stability, "gradient_norms")
    parts += section("Does pretraining shrink the spread?", pretraining(several))
    if len(several) > 2 or (len(several) == 2 and not any(found.pretrained for found in several)):
        parts += section("Do the spreads differ?", spreads(several), "spreads")
    elif len(several) == 2:
        parts.append(drawn["spreads"])
    parts += [part for found in several for part in how_to_repeat(found.scores)]
    parts.append(
        "Accuracies are percent of the test set, std is the sample's (ddof = 1). 95 % intervals: Student's for the "
        "mean, Bonett's (2006) for the std, percentile bootstrap for the median and the interquartile mean (IQM: the "
        "mean of the middle half). The extremes have none: more seeds move them. The paper is Picard 2021, "
        "[arXiv 2109.08203](https://arxiv.org/abs/2109.08203)."
    )
    return "\n\n".join(parts) + "\n"


def luck_in_words(several: Sequence[Findings]) -> list[str]:
    """What of each study's spread is luck with the test set; why it cannot be said where it cannot."""
    words = []
    for found in several:
        if found.luck is not None:
            words += told(found.luck)
            if left := sorted(set(found.scores.seeds.tolist()) - set(found.luck.seeds.tolist())):
                words.append(f"Without seed {few(left)} of {found.name}, whose predictions are missing or damaged.")
        else:
            why = "all score the same" if not found.std else "the predictions of at least 5 seeds are needed"
            words.append(f"{found.name}: how much of the spread is luck cannot be said: {why}.")
    return words


def luck_page(found: Findings, figures: Mapping[str, str]) -> str:
    """The section on luck as a page of its own, in Markdown."""
    title = f"# How much of {plain(found.name)} is luck?"
    words = map(plain, luck_in_words([found]))
    return "\n\n".join([title, f"**{plain(headline(found))}**", *words, *captioned(figures).values()]) + "\n"


def verdict_tables(c: Compared) -> list[str]:
    """What a verdict stands on, in Markdown: the table, and the notes."""
    lines = ["| | |", "|---|---|", *(f"| {plain(what)} | {plain(told)} |" for what, told in verdict_in_words.rows(c))]
    return ["\n".join(lines), "\n".join(f"- {plain(note)}" for note in verdict_in_words.notes(c))]


def captioned(captions: Mapping[str, str]) -> dict[str, str]:
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


def results_table(several: Sequence[Findings]) -> str:
    """The paper's table, with intervals and times, in Markdown; seeds in brackets; the paper's own rows marked so."""
    head = ["study", "seeds", "mean ± std, %", "min", "max", "95 % of the mean", "95 % of the std"]
    rows = [[*head, "median (95 %)", "IQM (95 %)", "time a seed, in all"], ["---"] * 10]
    for found in several:
        s = found.scores
        spread = f"{found.mean:.2f}" + (f" ± {found.std:.2f}" if found.n > 1 else "")
        cells = [f"**{plain(found.name)}**", f"{found.n:,}", spread]
        cells += [f"{found.min:.2f}&nbsp;({s.worst})", f"{found.max:.2f}&nbsp;({s.best})"]
        cells += [_cell(found.mean_interval), _cell(found.std_interval)]
        for value, interval in ((found.median, found.median_interval), (found.iqm, found.iqm_interval)):
            cells.append(f"{value:.2f}" + (f" ({_cell(interval)})" if found.n > 1 else ""))
        rows.append([*cells, f"{_median_seconds(s)}, {duration(s.seconds.sum())}"])
        if row := paper_row(s.study.config):
            numbers = [f"{row.mean:.2f} ± {row.std:.2f}", f"{row.min:.2f}", f"{row.max:.2f}"]
            cells = [f"the paper's{row.note}", f"{row.seeds:,}", *numbers, "", "", "", "", row.time]
            rows.append([f"*{cell}*" if cell else "" for cell in cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _cell(interval: Interval) -> str:
    return "" if math.isnan(interval.low) else within(interval)


def _median_seconds(scores: Scores) -> str:
    seconds = float(pd.Series(scores.seconds).median())
    return f"{seconds:.1f} s" if seconds < 90 else duration(seconds)


def plain(text: str) -> str:
    """Text in which nothing is taken for HTML or, but for code in backticks, for emphasis."""
    parts = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(text.split())).split("`")
    marks = r"([*|\[\]]|\b_|_\b)"
    return "`".join(part if i % 2 else re.sub(marks, r"\\\1", part) for i, part in enumerate(parts))


def stands_on(scores: Scores) -> str:
    """What is missing, diverged, failed, damaged or mixed, as a note; empty where nothing is."""
    if not (lines := shortcomings(scores)):
        return ""
    first = f"{scores.name} stands on {len(scores.seeds):,} finished seeds."
    return "\n".join(f"> {plain(line)}  " for line in (first, *lines))


def how_to_repeat(scores: Scores) -> Iterator[str]:
    """What must be told so that others can repeat a study: commands, data, settings, hardware, time."""
    yield f"## How to repeat {plain(scores.name)}"
    yield commands(scores)
    yield "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in _facts(scores))])
    config = yaml.safe_dump(scores.study.config, sort_keys=False).rstrip()
    yield (
        f'<details markdown="1"><summary>The whole config (digest {scores.study.digest[:12]})</summary>\n\n'
        f"```yaml\n{config}\n```\n\n</details>"
    )


def commands(scores: Scores) -> str:
    """The commands that train the study, and its best seed, again, as a block of Markdown."""
    overrides, seeds = _overrides(scores), sorted(scores.records)
    where = [] if str(scores.study.folder.parent) == "results" else [f"results={scores.study.folder.parent}"]
    if len(seeds) > 1 and (seeds[-1] - seeds[0] < 2 * len(seeds)):
        spelt = f"range({seeds[0]},{seeds[-1] + 1})"  # some of it may be missing
    else:
        spelt = ",".join(map(str, seeds))
    lines = [
        shlex.join(["python", "-m", "src.train", "-m", f"seed={spelt}", *overrides]),
        shlex.join(["python", "-m", "src.reproduce", f"study={scores.name}", f"seed={scores.best}", *where])
        + "   # the best seed once more: the same bits?",
        shlex.join(["python", "-m", "src.report", f"study={scores.name}", *where]),
    ]
    return "```\n" + "\n".join(lines) + "\n```"


def _overrides(scores: Scores) -> list[str]:
    """What the study's seeds were trained with, as most of their records say; without seed and folder of results."""
    found: Counter[str] = Counter(record["command"] for record in scores.finished if record.get("command"))
    counted: Counter[tuple[str, ...]] = Counter()
    for command, count in found.items():
        words = shlex.split(command)[3:]  # python -m src.train
        counted[tuple(word for word in words if not word.startswith(("seed=", "results=")))] += count
    return list(counted.most_common(1)[0][0]) if counted else [f"study={scores.name}"]


def _facts(scores: Scores) -> Iterator[tuple[str, str]]:
    config: dict[str, Any] = dict(flattened(scores.study.config))
    first = scores.finished[0]
    yield "seeds", f"{len(scores.seeds):,} finished: {few(scores.seeds.tolist())}"
    streams = {key: value for key, value in config.items() if key.startswith("streams.") and value is not None}
    if held := [f"{key.removeprefix('streams.')}={value}" for key, value in streams.items()]:
        yield "streams held", ", ".join(held)
    shas = sorted({str(record.get("data_sha256")) for record in scores.finished})
    hashed = "the features" if "features" in first else "the pictures as read"
    yield "data", f"{config.get('data.name', 'unknown')}, SHA-256 of {hashed} {', '.join(shas)}"
    if "features" in first:
        known = dict(flattened(first["features"]))
        yield "backbone", plain(", ".join(f"{key} {value}" for key, value in known.items()))
    sizes = {"training": config.get("data.train_size"), "test": config.get("data.test_size")}
    counted = {"training": first.get("train_examples"), "test": scores.examples}
    split = ", ".join(
        f"{part} {counted[part] or 'all'}{f' (a balanced subset of {size:,})' if size else ''}"
        for part, size in sizes.items()
    )
    yield "split", f"{split}; scored on the test examples after every epoch"
    preprocessing = {key: value for key, value in config.items() if re.match(r"data\.(mean|std|size|augment)", key)}
    yield "preprocessing", plain(", ".join(f"{key[5:]} {value}" for key, value in preprocessing.items()))
    yield "training", f"{len(scores.epochs)} epochs, batch {config.get('data.batch_size', 'unknown')}"
    parts = {part: sum(record["seconds"][part] for record in scores.finished) for part in first["seconds"]}
    yield "time", f"{duration(sum(parts.values()))} in all: {', '.join(f'{p} {duration(s)}' for p, s in parts.items())}"
    for key, values in scores.environments.items():
        if len(values) == 1:
            if (value := next(iter(values))) != "None":
                yield plain(key), plain(value)
        else:
            which = "; ".join(f"{value} (seed {few(sorted(seeds))})" for value, seeds in values.items())
            yield plain(key), f"**mixed:** {plain(which)}"


def table(several: Sequence[Findings]) -> pd.DataFrame:
    """The numbers of `results_table`, unrounded, a row for each study and for each of the paper's."""
    rows: list[dict[str, Any]] = []
    for found in several:
        s = found.scores
        row: dict[str, Any] = {"study": found.name, "source": "measured", "seeds": found.n}
        row |= {"mean": found.mean, "std": found.std, "min": found.min, "min_seed": s.worst}
        row |= {"max": found.max, "max_seed": s.best, "median": found.median, "iqm": found.iqm}
        for name in ("mean", "std", "median", "iqm"):
            low, high = getattr(found, f"{name}_interval")
            row |= {f"{name}_low": low, f"{name}_high": high}
        row |= {"seconds_a_seed": float(pd.Series(s.seconds).median()), "seconds_in_all": float(s.seconds.sum())}
        rows.append(row)
        if paper := paper_row(s.study.config):
            row = {"study": found.name, "source": "paper", "seeds": paper.seeds, "mean": paper.mean, "std": paper.std}
            rows.append(row | {"min": paper.min, "max": paper.max})
    return pd.DataFrame(rows)


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(letter, f"\\{letter}" if letter in "_&%#${}" else letter) for letter in text)


def latex_table(several: Sequence[Findings]) -> str:
    """The paper's table for a LaTeX document with booktabs."""
    lines = [r"\begin{tabular}{lrrrr}", r"\toprule", r"Study & Seeds & Mean $\pm$ std (\%) & Min & Max \\", r"\midrule"]
    for found in several:
        s, name = found.scores, _tex(found.name)
        spread = rf"{found.mean:.2f} $\pm$ {found.std:.2f}" if found.n > 1 else f"{found.mean:.2f}"
        extremes = f"{found.min:.2f} ({s.worst}) & {found.max:.2f} ({s.best})"
        lines.append(rf"{name} & {found.n:,} & {spread} & {extremes} \\")
        if row := paper_row(s.study.config):
            numbers = rf"{row.mean:.2f} $\pm$ {row.std:.2f} & {row.min:.2f} & {row.max:.2f}"
            lines.append(rf"\quad as in Picard (2021) & {row.seeds:,} & {numbers} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
