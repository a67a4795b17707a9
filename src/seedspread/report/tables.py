"""The results of studies as tables: for a page, for LaTeX, for pandas."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from seedspread.records.progress import format_duration
from seedspread.records.scores import Scores
from seedspread.report.document import Emphasis, Strong, Table, Text
from seedspread.report.findings import Findings
from seedspread.report.paper import paper_row
from seedspread.report.study_words import format_interval
from seedspread.statistics import Interval


def results_table(several: Sequence[Findings]) -> Table:
    """The paper's table, with intervals and times; seeds in brackets, and the paper's own rows in italics."""
    head = ["study", "seeds", "mean ± std, %", "min (seed)", "max (seed)", "95 % of the mean", "95 % of the std"]
    head += ["median (95 %)", "IQM (95 %)", "time per seed", "total time"]
    rows: list[list[Text]] = []
    for found in several:
        s = found.scores
        cells: list[Text] = [Strong(found.name), f"{found.n:,}"]
        cells.append(f"{found.mean:.2f}" + (f" ± {found.std:.2f}" if found.n > 1 else ""))
        cells += [f"{found.min:.2f} ({s.worst})", f"{found.max:.2f} ({s.best})"]
        cells += [_format_cell(found.mean_interval), _format_cell(found.std_interval)]
        for value, interval in ((found.median, found.median_interval), (found.iqm, found.iqm_interval)):
            cells.append(f"{value:.2f}" + (f" ({_format_cell(interval)})" if found.n > 1 else ""))
        rows.append([*cells, _median_seconds(s), format_duration(s.seconds.sum())])
        if row := paper_row(s.study.config):
            numbers = [f"{row.mean:.2f} ± {row.std:.2f}", f"{row.min:.2f}", f"{row.max:.2f}"]
            texts = [f"Picard 2021{row.note}", f"{row.seeds:,}", *numbers, "", "", "", "", row.time, ""]
            rows.append([Emphasis(text) if text else "" for text in texts])
    return Table(head, rows, numbers=1)


def _format_cell(interval: Interval) -> str:
    return format_interval(interval) if interval.is_known else ""


def _median_seconds(scores: Scores) -> str:
    seconds = float(pd.Series(scores.seconds).median())
    return f"{seconds:.1f} s" if seconds < 90 else format_duration(seconds)


def numbers_table(several: Sequence[Findings]) -> pd.DataFrame:
    """The numbers of `results_table`, unrounded: a row for each study, and for the paper's where it has one."""
    rows: list[dict[str, Any]] = []
    for found in several:
        s = found.scores
        row: dict[str, Any] = {"study": found.name, "source": "measured", "seeds": found.n}
        row |= {"mean": found.mean, "std": found.std, "min": found.min, "min_seed": s.worst}
        row |= {"max": found.max, "max_seed": s.best, "median": found.median, "iqm": found.iqm}
        for name in ("mean", "std", "median", "iqm"):
            low, high = getattr(found, f"{name}_interval")
            row |= {f"{name}_low": low, f"{name}_high": high}
        row |= {"seconds_per_seed": float(pd.Series(s.seconds).median()), "seconds_total": float(s.seconds.sum())}
        rows.append(row)
        if paper := paper_row(s.study.config):
            row = {"study": found.name, "source": "paper", "seeds": paper.seeds, "mean": paper.mean, "std": paper.std}
            rows.append(row | {"min": paper.min, "max": paper.max})
    return pd.DataFrame(rows)


def _escape_latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(letter, f"\\{letter}" if letter in "_&%#${}" else letter) for letter in text)


def latex_table(several: Sequence[Findings]) -> str:
    """The paper's table for a LaTeX document with booktabs."""
    lines = [r"\begin{tabular}{lrrrr}", r"\toprule", r"Study & Seeds & Mean $\pm$ std (\%) & Min & Max \\", r"\midrule"]
    for found in several:
        s, name = found.scores, _escape_latex(found.name)
        spread = rf"{found.mean:.2f} $\pm$ {found.std:.2f}" if found.n > 1 else f"{found.mean:.2f}"
        extremes = f"{found.min:.2f} ({s.worst}) & {found.max:.2f} ({s.best})"
        lines.append(rf"{name} & {found.n:,} & {spread} & {extremes} \\")
        if row := paper_row(s.study.config):
            numbers = rf"{row.mean:.2f} $\pm$ {row.std:.2f} & {row.min:.2f} & {row.max:.2f}"
            lines.append(rf"\quad Picard (2021) & {row.seeds:,} & {numbers} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
