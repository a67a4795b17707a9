"""A comparison as page, table, figure and text for the terminal."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from seedspread import statistics as st
from seedspread.decide.verdict import Arm, ArmComparison, comparison_row
from seedspread.records.files import unwritable_error
from seedspread.report import drawing, figures
from seedspread.report.markdown import escape_markdown
from seedspread.report.page import verdict_tables
from seedspread.report.verdict_words import notes, rows, setting_differences, verdict_sentence

SETTINGS_SHOWN = 12


# What is written.


def comparison_page(found: Sequence[ArmComparison]) -> str:
    """Everything as Markdown: verdicts first."""
    candidates = " and ".join(escape_markdown(c.candidate.name) for c in found)
    title = f"{candidates} against {escape_markdown(found[0].baseline.name)}"
    parts = [f"# {title}", *(f"**{escape_markdown(verdict_sentence(c))}**" for c in found)]
    parts += ["![scores of every seed](compare.png)", _arms_table(found)]
    for c in found:
        if len(found) > 1:
            parts.append(f"## {escape_markdown(c.candidate.name)}")
        parts += verdict_tables(c)
        if differing := setting_differences(c.baseline, c.candidate):
            head = [
                f"| what differs | {escape_markdown(c.baseline.name)} | {escape_markdown(c.candidate.name)} |",
                "|---|---|---|",
            ]
            parts.append("\n".join([*head, *(f"| {' | '.join(map(escape_markdown, row))} |" for row in differing)]))
    return "\n\n".join(parts) + "\n"


def _arms_table(found: Sequence[ArmComparison]) -> str:
    lines = ["| | seeds | mean ± std | min | max |", "|---|---|---|---|---|"]
    several = [found[0].baseline, *(c.candidate for c in found)]
    spread = min((float(st.sample_std(arm.scores)) for arm in several if not st.is_constant(arm.scores)), default=1.0)
    decimals = max(2 if found[0].baseline.study else 0, min(10, 1 - math.floor(math.log10(spread))))
    for arm in several:
        mean, std = arm.scores.mean(), float(st.sample_std(arm.scores))
        numbers_ = (f"{mean:.{decimals}f} ± {std:.{decimals}f}", *(f"{x:.{decimals}f}" for x in _range(arm)))
        lines.append(f"| {escape_markdown(arm.name)} | {arm.n:,} | {' | '.join(numbers_)} |")
    return "\n".join(lines)


def _range(arm: Arm) -> tuple[float, float]:
    return float(arm.scores.min()), float(arm.scores.max())


def write_comparison(found: Sequence[ArmComparison], folder: Path) -> None:
    """compare.md, compare.csv and the figure as compare.png and compare.svg."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "compare.md").write_text(comparison_page(found))
        pd.DataFrame([comparison_row(c) for c in found]).to_csv(folder / "compare.csv", index=False)
        drawing.save_figure(figures.arms_figure([found[0].baseline, *(c.candidate for c in found)]), folder, "compare")
    except OSError as error:
        raise unwritable_error(folder, error) from error


def format_comparison(c: ArmComparison) -> str:
    """The table and the notes for a terminal."""
    table = rows(c)
    width = max(len(what) for what, _ in table)
    lines = [f"  {what:<{width}}  {told}" for what, told in table]
    lines += [f"  - {note}" for note in notes(c)]
    differing = setting_differences(c.baseline, c.candidate)
    if c.baseline.study is not None and c.candidate.study is not None:
        short = [f"{key} {old} / {new}" for key, old, new in differing[:SETTINGS_SHOWN]]
        more = [f"{len(differing) - SETTINGS_SHOWN} more in compare.md"] * (len(differing) > SETTINGS_SHOWN)
        lines.append(f"  - Settings that differ: {'; '.join(short + more) or 'none'}.")
    return "\n".join(lines)
