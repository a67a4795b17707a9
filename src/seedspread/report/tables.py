"""The results of studies as tables: for a page, for LaTeX, for pandas."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from seedspread.records.digits import Digits
from seedspread.records.metric import ACCURACY
from seedspread.records.progress import format_duration
from seedspread.records.scores import Scores
from seedspread.report.document import Emphasis, Strong, Table, Text
from seedspread.report.findings import Findings
from seedspread.report.labels import name_before, with_unit
from seedspread.report.paper import PaperRow, paper_row
from seedspread.statistics import Interval


def results_table(several: Sequence[Findings]) -> Table:
    """The paper's table, with intervals and times; seeds in brackets, and the paper's own rows in italics."""
    first = several[0].scores
    spread = with_unit(f"{name_before(first)}mean ± std", first.metric.symbol)
    head = ["study", "seeds", spread, "min (seed)", "max (seed)", "95 % of the mean", "95 % of the std"]
    head += ["median (95 %)", "IQM (95 %)", "time per seed", "total time"]
    rows: list[list[Text]] = []
    for found in several:
        s, d = found.scores, found.digits
        cells: list[Text] = [Strong(found.name), f"{found.n:,}", d.plus_minus(found.mean, found.std), *_extremes(found)]
        cells += [_format_cell(found.mean_interval, d), _format_cell(found.std_interval, d)]
        for value, interval in ((found.median, found.median_interval), (found.iqm, found.iqm_interval)):
            cells.append(d.plain(value) + (f" ({_format_cell(interval, d)})" if found.n > 1 else ""))
        rows.append([*cells, _median_seconds(s), format_duration(s.seconds.sum()) if s.seconds.any() else ""])
        if row := _paper_row(s):
            numbers = [f"{row.mean:.2f} ± {row.std:.2f}", f"{row.min:.2f}", f"{row.max:.2f}"]
            texts = [f"Picard 2021{row.note}", f"{row.seeds:,}", *numbers, "", "", "", "", row.time, ""]
            rows.append([Emphasis(text) if text else "" for text in texts])
    return Table(head, rows, numbers=1)


def _extremes(found: Findings) -> list[str]:
    """The smallest and the largest score, each with its seed."""
    seeds = found.scores.worst, found.scores.best
    low, high = seeds if found.scores.metric.sign > 0 else seeds[::-1]
    return [f"{found.digits.plain(found.min)} ({low})", f"{found.digits.plain(found.max)} ({high})"]


def _paper_row(scores: Scores) -> PaperRow | None:
    """The paper's row of accuracies, where these are accuracies of the same setting."""
    return paper_row(scores.study.config) if scores.metric.name == ACCURACY.name else None


def _format_cell(interval: Interval, digits: Digits) -> str:
    return digits.interval(*interval) if interval.is_known else ""


def _median_seconds(scores: Scores) -> str:
    seconds = float(pd.Series(scores.seconds).median())
    if not seconds:
        return ""  # imported logs need not say
    return f"{seconds:.1f} s" if seconds < 90 else format_duration(seconds)


def numbers_table(several: Sequence[Findings]) -> pd.DataFrame:
    """The numbers of `results_table`, unrounded: a row for each study, and for the paper's where it has one."""
    rows: list[dict[str, Any]] = []
    for found in several:
        s = found.scores
        low, high = int(s.seeds[s.final.argmin()]), int(s.seeds[s.final.argmax()])
        row: dict[str, Any] = {"study": found.name, "source": "measured", "metric": s.metric.name, "seeds": found.n}
        row |= {"mean": found.mean, "std": found.std, "min": found.min, "min_seed": low}
        row |= {"max": found.max, "max_seed": high, "median": found.median, "iqm": found.iqm}
        for name in ("mean", "std", "median", "iqm"):
            low, high = getattr(found, f"{name}_interval")
            row |= {f"{name}_low": low, f"{name}_high": high}
        row |= {"seconds_per_seed": float(pd.Series(s.seconds).median()), "seconds_total": float(s.seconds.sum())}
        rows.append(row)
        if paper := _paper_row(s):
            row = {
                "study": found.name,
                "source": "paper",
                "metric": s.metric.name,
                "seeds": paper.seeds,
                "mean": paper.mean,
                "std": paper.std,
            }
            rows.append(row | {"min": paper.min, "max": paper.max})
    return pd.DataFrame(rows)


def _escape_latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(letter, f"\\{letter}" if letter in "_&%#${}" else letter) for letter in text)


def latex_table(several: Sequence[Findings]) -> str:
    """The paper's table for a LaTeX document with booktabs."""
    first = several[0].scores
    unit = _escape_latex(f" ({first.metric.symbol})" if first.metric.symbol else "")
    what = _escape_latex(name_before(first)) + (r"mean" if name_before(first) else "Mean")
    lines = [
        r"\begin{tabular}{lrrrr}",
        r"\toprule",
        rf"Study & Seeds & {what} $\pm$ std{unit} & Min & Max \\",
        r"\midrule",
    ]
    for found in several:
        s, name = found.scores, _escape_latex(found.name)
        spread = found.digits.plus_minus(found.mean, found.std).replace("±", r"$\pm$")
        lines.append(rf"{name} & {found.n:,} & {spread} & {' & '.join(_extremes(found))} \\")
        if row := _paper_row(s):
            numbers = rf"{row.mean:.2f} $\pm$ {row.std:.2f} & {row.min:.2f} & {row.max:.2f}"
            lines.append(rf"\quad Picard (2021) & {row.seeds:,} & {numbers} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
