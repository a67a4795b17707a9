"""The page of a search: its figures and its text."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from seedspread.records.files import draft_folder, unwritable_error
from seedspread.report.markdown import escape_markdown, format_figures, html_page
from seedspread.report.page import verdict_tables
from seedspread.report.search_figures import LABELS, draw_search_figures
from seedspread.report.search_words import cautions, honesty, search_headline, search_log, trials_table
from seedspread.search.plan import Search
from seedspread.search.results import SearchResults, write_journal
from seedspread.search.trials import Trial


def write_search_report(search: Search) -> tuple[Path, SearchResults]:
    """Write the page of a search from its records; NothingFinished where no trial has a finished seed."""
    found = SearchResults.of(search.folder, search.space)
    try:
        return write_search_page(found, search.folder / "report"), found
    except OSError as error:
        raise unwritable_error(search.folder, error) from error


LISTED = 10  # trials in the page's table; trials.csv has all


def search_markdown(t: SearchResults, captions: Mapping[str, str]) -> str:
    """The page in Markdown; figures are NAME.png beside it."""
    figures = format_figures(captions)
    parts = [f"# Tuning {escape_markdown(t.name)}", f"**{escape_markdown(search_headline(t))}**", _summary(t)]
    parts += [f"{t.best.name}: `{t.best.settings}`", *map(escape_markdown, honesty(t))]
    if warned := list(cautions(t)):
        parts.append("\n".join(f"> {escape_markdown(line)}  " for line in warned))
    parts += ["## Trials", figures["scores"], figures["best_so_far"], _diverged(t), _listed(t)]
    if "isolation" in figures:
        parts += ["## What the scientific hyperparameters do", figures["isolation"]]
    if "importance" in figures:
        parts += ["## Which hyperparameters matter", figures["importance"]]
    parts += ["## Learning curves of the best", figures["curves"]]
    if j := t.judgement:
        parts += ["## The winner on fresh seeds", figures["fresh_seeds"]]
        parts += verdict_tables(j.compared) if j.compared else []
    parts += ["## Log", _log(t)]
    parts.append(
        "Roles, quasi-random search first and the log are of the [Deep Learning Tuning Playbook]"
        "(https://github.com/google-research/tuning_playbook) (Godbole, Dahl, Gilmer, Shallue, Nado 2023). Scores are "
        "accuracies on the test set in percent."
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(t: SearchResults) -> str:
    lines = ["| | accuracy, % | seeds |", "|---|---|---|"]
    lines.append(f"| chosen: {t.best.name} as it won | {_accuracy(t.best)} | {len(t.best.scores)} |")
    if j := t.judgement:
        both = {f"honest: {t.best.name} on fresh seeds": j.honest, "baseline on the same": j.baseline}
        for told, found in both.items():
            lines.append(f"| {told} | {found.mean():.2f} ± {found.std(ddof=1):.2f} | {len(found)} |")
        lines.append(f"| winner's curse: chosen - honest | {j.curse:+.2f} | |")
    return "\n".join(lines)


def _accuracy(trial: Trial) -> str:
    return f"{trial.score:.2f}" + ("" if math.isnan(trial.std) else f" ± {trial.std:.2f}")


def _diverged(t: SearchResults) -> str:
    share = 100 * len(t.diverged) / len(t.trials)
    return f"Diverged: {len(t.diverged)} of {len(t.trials)} trials ({share:.0f} %)."


def _listed(t: SearchResults) -> str:
    best = t.ranked[:LISTED]
    keys = [f"`{key}`" for key in t.space.keys]
    lines = [f"| {' | '.join(['trial', 'accuracy, %', *keys])} |", "|---" * (2 + len(keys)) + "|"]
    for trial in best:
        values = " | ".join(escape_markdown(str(trial.point[key])) for key in t.space.keys)
        lines.append(f"| [{trial.name}](../{trial.name}/study.yaml) | {_accuracy(trial)} | {values} |")
    more = f"\n\nThe {len(best)} best of {len(t.trials)}; trials.csv has all." if len(t.trials) > len(best) else ""
    return "\n".join(lines) + more


def _log(t: SearchResults) -> str:
    lines = ["| search | space | trials | diverged | best | accuracy, % | trains it again |", "|---" * 7 + "|"]
    for row in search_log(t):
        best = f"[{row['best']}](../{row['best']}/study.yaml)" if "best" in row else ""
        score = f"{row['score']:.2f}" if "best" in row else ""
        command = f"`{row['command']}`" if "best" in row else ""
        told = [f"{t.name} {LABELS[row['search']]}", row["space"]]
        cells = [*map(escape_markdown, told), str(row["trials"]), str(row["diverged"]), best, score, command]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_search_page(t: SearchResults, folder: Path) -> Path:
    """Write page, tables and figures into `folder`, all of them or none; return the page."""
    with draft_folder(folder) as draft:
        text = search_markdown(t, draw_search_figures(t, draft))
        (draft / "tuning.md").write_text(text)
        (draft / "index.html").write_text(html_page(text, draft))
        pd.DataFrame(trials_table(t)).to_csv(draft / "trials.csv", index=False)
        write_journal(t, draft / "optuna.journal")
    return folder / "index.html"
