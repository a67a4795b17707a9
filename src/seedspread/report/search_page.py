"""The page of a search: the decision, its trials, its figures and its log."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from seedspread.records.files import draft_folder, unwritable_error
from seedspread.report.comparison_page import comparison_parts
from seedspread.report.document import (
    Document,
    Figure,
    Link,
    Note,
    Paragraph,
    Part,
    Section,
    Table,
    Text,
    write_document,
)
from seedspread.report.labels import with_unit
from seedspread.report.search_figures import LABELS, draw_search_figures
from seedspread.report.search_words import (
    cautions,
    decision_rows,
    search_headline,
    search_log,
    trials_table,
    winners_curse,
)
from seedspread.search.plan import Search
from seedspread.search.results import SearchResults, write_journal
from seedspread.search.trials import Trial

LISTED = 10  # trials in the page's table; trials.csv has all
METHODS = (
    "The roles of hyperparameters, quasi-random search first and the log follow the ",
    Link("Deep Learning Tuning Playbook", "https://github.com/google-research/tuning_playbook"),
    " (Godbole, Dahl, Gilmer, Shallue, Nado 2023).",
)


def write_search_report(search: Search) -> tuple[Path, SearchResults]:
    """Write the page of a search from its records; NothingFinished where no trial has a finished seed."""
    found = SearchResults.of(search.folder, search.space, search.cfg.worth)
    try:
        return write_search_page(found, search.folder / "report"), found
    except OSError as error:
        raise unwritable_error(search.folder, error) from error


def search_document(t: SearchResults, captions: Mapping[str, str]) -> Document:
    """The page; `captions` are those of the figures that were drawn, by name."""

    def drawn(*names: str) -> list[Part]:
        return [Figure(name, captions[name]) for name in names if name in captions]

    parts: list[Part] = [_summary(t), Paragraph(f"{t.best.name}: `{t.best.settings}`")]
    parts += map(Paragraph, winners_curse(t))
    if warnings := list(cautions(t)):
        parts.append(Note(warnings))
    sections = [
        Section("Trials", [*drawn("scores", "best_so_far"), Paragraph(_diverged(t)), *_listed(t)]),
        Section("What the scientific hyperparameters do", drawn("isolation"), "Scientific"),
        Section("Which hyperparameters matter", drawn("importance"), "Importance"),
        Section("Learning curves of the best", drawn("curves"), "Curves"),
        Section("The winner on fresh seeds", [*drawn("fresh_seeds", "decision"), *_judged(t)], "Winner"),
        Section("Log", [_log(t), Paragraph(METHODS)]),
    ]
    return Document(f"Search {t.name}", [search_headline(t)], parts, [s for s in sections if s.parts])


def _summary(t: SearchResults) -> Table:
    rows = [(f"{t.best.name}, on the seeds it was chosen by", _format_score(t, t.best), f"{len(t.best.scores)}")]
    if j := t.judgement:
        found = [(f"{t.best.name}, on fresh seeds", j.again[1]), ("baseline, on the same seeds", j.again[0])]
        if j.has_test_set:
            found += [(f"{t.best.name}, on the test set", j.fresh), ("baseline, on the test set", j.baseline)]
        for name, scores in found:
            rows.append((name, t.digits.plus_minus(scores.mean(), scores.std(ddof=1)), f"{len(scores)}"))
        curse = "chosen minus fresh" if t.metric.sign > 0 else "fresh minus chosen"
        rows.append((f"winner's curse: {curse}", t.digits.signed(j.curse), ""))
    return Table(["", _score_head(t), "seeds"], rows, numbers=1)


def _judged(t: SearchResults) -> list[Part]:
    """The decision pair by pair, and the comparison of the same seeds on the test set."""
    if (j := t.judgement) is None:
        return []
    found: list[Part] = [Table(["decision on fresh seeds", ""], decision_rows(j))]
    if j.comparison:
        where = "on the test set" if j.has_test_set else "by a fixed number of seeds"
        found += [Paragraph(f"The same seeds {where}:"), *comparison_parts(j.comparison)]
    return found


def _score_head(t: SearchResults) -> str:
    return with_unit(t.metric.quantity, t.metric.symbol)


def _format_score(t: SearchResults, trial: Trial) -> str:
    return t.digits.plus_minus(trial.score, trial.std)


def _diverged(t: SearchResults) -> str:
    share = 100 * len(t.diverged) / len(t.trials)
    return f"Diverged: {len(t.diverged)} of {len(t.trials)} trials ({share:.0f} %)."


def _study_link(name: str) -> Link:
    return Link(name, f"../{name}/study.yaml")


def _listed(t: SearchResults) -> list[Part]:
    best = t.ranked[:LISTED]
    head = ["trial", _score_head(t), *(f"`{key}`" for key in t.space.keys)]
    rows: list[list[Text]] = [
        [_study_link(trial.name), _format_score(t, trial), *(str(trial.point[key]) for key in t.space.keys)]
        for trial in best
    ]
    parts: list[Part] = [Table(head, rows, numbers=1)]
    if len(t.trials) > len(best):
        parts.append(Paragraph(f"The {len(best)} best of {len(t.trials)}; trials.csv has all."))
    return parts


def _log(t: SearchResults) -> Table:
    head = ["search", "space", "trials", "diverged", "best", _score_head(t), "command that trains it again"]
    rows: list[list[Text]] = []
    for row in search_log(t):
        cells = [f"{t.name} {LABELS[row['search']]}", row["space"], str(row["trials"]), str(row["diverged"])]
        best: list[Text] = ["", "", ""]
        if "best" in row:
            best = [_study_link(row["best"]), t.digits.plain(row["score"]), f"`{row['command']}`"]
        rows.append([*cells, *best])
    return Table(head, rows)


def write_search_page(t: SearchResults, folder: Path) -> Path:
    """Write page, tables and figures into `folder`, all of them or none; return the page."""
    with draft_folder(folder) as draft:
        document = search_document(t, draw_search_figures(t, draft))
        write_document(document, draft, "search")
        pd.DataFrame(trials_table(t)).to_csv(draft / "trials.csv", index=False)
        write_journal(t, draft / "optuna.journal")
    return folder / "index.html"
