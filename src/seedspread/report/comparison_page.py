"""A comparison as a page, a table, a figure and text for a terminal."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seedspread import statistics as st
from seedspread.decide.arms import Arm
from seedspread.decide.verdict import ArmComparison, comparison_row
from seedspread.records.digits import Digits
from seedspread.records.files import draft_folder, unwritable_error
from seedspread.records.metric import Metric
from seedspread.report.document import Bullets, Document, Figure, Part, Section, Table, write_document
from seedspread.report.drawing import save_figure
from seedspread.report.figures import arms_figure
from seedspread.report.verdict_words import (
    comparison_rows,
    format_collapses,
    metric_before,
    notes,
    setting_differences,
    verdict_sentence,
)

SETTINGS_IN_TERMINAL = 12


def comparison_document(found: Sequence[ArmComparison]) -> Document:
    """The page: verdicts, scores of the arms, then the tests and notes of each comparison."""
    title = f"{' and '.join(c.candidate.name for c in found)} against {found[0].baseline.name}"
    caption = "The score of each seed, their density, and the mean with its 95 % interval."
    arms = [found[0].baseline, *(c.candidate for c in found)]
    head: list[Part] = [Figure("compare", caption), arms_table(arms, found[0].metric)]
    lead = [verdict_sentence(c) for c in found]
    if len(found) == 1:
        return Document(title, lead, [*head, *comparison_parts(found[0])])
    return Document(title, lead, head, [Section(c.candidate.name, comparison_parts(c)) for c in found])


def comparison_parts(c: ArmComparison) -> list[Part]:
    """The evidence of a verdict: the table of tests, the notes, and the settings that differ."""
    parts: list[Part] = [Table(["test or estimate", "result"], comparison_rows(c)), Bullets(notes(c))]
    if differing := setting_differences(c.baseline, c.candidate):
        parts.append(Table(["setting that differs", c.baseline.name, c.candidate.name], differing))
    return parts


def arms_table(several: Sequence[Arm], metric: Metric) -> Table:
    """A row for each arm: its seeds, mean ± std, extremes, and where any collapsed how many."""
    spread = min((float(st.sample_std(arm.scores)) for arm in several if not st.is_constant(arm.scores)), default=1.0)
    digits = Digits.of_error(metric, spread, max(float(np.abs(arm.scores).max()) for arm in several))
    rows: list[tuple[str, ...]] = []
    for arm in several:
        x = arm.scores
        mean, std, low, high = map(digits.plain, map(float, (x.mean(), st.sample_std(x), x.min(), x.max())))
        rows.append((arm.name, f"{arm.n:,}", f"{mean} ± {std}", low, high))
    collapsed = any(arm.collapsed for arm in several)
    if collapsed:
        rows = [(*row, format_collapses(arm)) for row, arm in zip(rows, several, strict=True)]
    what = [metric.name] if metric_before(metric) else []
    head = ", ".join(filter(None, [" ".join([*what, "mean ± std"]), metric.symbol]))
    return Table(["arm", "seeds", head, "min", "max", *["collapsed"] * collapsed], rows, numbers=1)


def write_comparison(found: Sequence[ArmComparison], folder: Path) -> None:
    """Write index.html, compare.md, compare.csv and the figure as compare.png and compare.svg."""
    try:
        with draft_folder(folder) as draft:
            save_figure(
                arms_figure([found[0].baseline, *(c.candidate for c in found)], found[0].metric), draft, "compare"
            )
            write_document(comparison_document(found), draft, "compare")
            pd.DataFrame([comparison_row(c) for c in found]).to_csv(draft / "compare.csv", index=False)
    except OSError as error:
        raise unwritable_error(folder, error) from error


def format_comparison(c: ArmComparison) -> str:
    """The table of tests and the notes for a terminal."""
    table = comparison_rows(c)
    width = max(len(what) for what, _ in table)
    lines = [f"  {what:<{width}}  {result}" for what, result in table]
    lines += [f"  - {note.replace('`', '')}" for note in notes(c)]
    differing = setting_differences(c.baseline, c.candidate)
    if c.baseline.study is not None and c.candidate.study is not None:
        short = [f"{key} {old} / {new}" for key, old, new in differing[:SETTINGS_IN_TERMINAL]]
        rest = len(differing) - SETTINGS_IN_TERMINAL
        more = [f"{rest} more in compare.md"] if rest > 0 else []
        same_kind = c.baseline.study.study.kind == c.candidate.study.study.kind
        lines.append(f"  - Settings that differ: {'; '.join(short + more) or ('none' if same_kind else 'not known')}.")
    return "\n".join(lines)
