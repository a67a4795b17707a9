"""A decision as a page, tables, and the figure of its interval closing over pairs of seeds."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawn

from seedspread import statistics as st
from seedspread.decide.decision import Contest, Decision
from seedspread.records.files import draft_folder, unwritable_error
from seedspread.report.decision_words import WORDS, Cost, level_note, notes, task_rows, verdict_line
from seedspread.report.document import Bullets, Document, Figure, Part, Section, Table, write_document
from seedspread.report.drawing import BLUE, COLUMN, GREY, ORANGE, STYLE, draw_legend, save_figure, write_title
from seedspread.report.labels import with_unit
from seedspread.statistics import Outcome

CAPTION = (
    "The mean difference over pairs of seeds and its interval, valid at every look. It decides as soon as the interval "
    "leaves out 0"
)


def decision_document(contests: Sequence[Contest], costs: Sequence[Cost | None], budget: int | None) -> Document:
    """The page: the verdicts, the figure, the arms, what qualifies each verdict."""
    title = f"{' and '.join(c.name for c in contests)} against {contests[0].overall.baseline}"
    head: list[Part] = [Figure("decide", CAPTION + (", or lies within ± worth." if contests[0].overall.worth else "."))]
    parts = [(c, _parts(c, cost, budget)) for c, cost in zip(contests, costs, strict=True)]
    lead = [verdict_line(c) for c in contests]
    tail: list[Part] = [Bullets([level_note(contests)])]
    if len(contests) == 1:
        return Document(title, lead, [*head, *parts[0][1], *tail])
    return Document(title, lead, [*head, *tail], [Section(c.name, part) for c, part in parts])


def _parts(contest: Contest, cost: Cost | None, budget: int | None) -> list[Part]:
    parts: list[Part] = []
    if len(contest.tasks) > 1 and contest.overall.looks:
        parts.append(
            Table(["task", "pairs", "difference", "interval", "verdict", "p by Holm"], task_rows(contest), numbers=1)
        )
    if lines := notes(contest, cost, budget):
        parts.append(Bullets(lines))
    return parts


def looks_table(contest: Contest) -> pd.DataFrame:
    """A row for each look: pairs, difference, interval, counts of collapsed seeds, verdict, everything unrounded."""
    d = contest.overall
    return pd.DataFrame(
        [
            {
                "candidate": d.candidate,
                "baseline": d.baseline,
                "pairs": st.FEWEST + i,
                "healthy_pairs": int(look.healthy),
                "difference": float(look.mean),
                "standard_error": float(look.error),
                "low": float(look.low),
                "high": float(look.high),
                "collapsed_baseline": int(look.collapsed[0]),
                "collapsed_candidate": int(look.collapsed[1]),
                "verdict": WORDS[Outcome(int(look.outcome))],
            }
            for i, look in enumerate(d.looks)
        ]
    )


def draw_decision(contests: Sequence[Contest]) -> Drawn:
    """The interval of each candidate over pairs of seeds, with 0, ± worth, and the look that decided."""
    fig = Drawn(figsize=(COLUMN, 3.0 * len(contests)), layout="constrained")
    axes = fig.subplots(len(contests), 1, squeeze=False)[:, 0]
    for ax, contest in zip(axes, contests, strict=True):
        d = contest.overall
        ax.axhline(0, color="black", linewidth=0.8)
        if d.worth is not None:
            ax.axhspan(-d.worth, d.worth, color=GREY, alpha=0.12, linewidth=0, label="± worth")
        _draw_looks(ax, d)
        ax.set_xlabel("pairs of seeds")
        what = "difference" if d.metric.name in ("score", "val/acc") else f"difference of {d.metric.name}"
        ax.set_ylabel(with_unit(what, d.metric.difference_symbol))
        draw_legend(ax)
        write_title(ax, f"{d.candidate} against {d.baseline}: {WORDS[d.outcome]}")
    return fig


def _draw_looks(ax: mpl.axes.Axes, d: Decision) -> None:
    if not d.looks:
        return
    x = st.FEWEST + np.arange(len(d.looks))
    mean, low, high = (np.array([float(getattr(look, name)) for look in d.looks]) for name in ("mean", "low", "high"))
    known = np.isfinite(low) & np.isfinite(high)
    ax.plot(x, mean, color=BLUE, linewidth=1.2, label="mean difference")
    if known.any():
        ax.fill_between(x[known], low[known], high[known], color=BLUE, alpha=0.2, linewidth=0, label="interval")
        # The first intervals are many times wider than the last: they would hide them.
        middle = np.abs(np.concatenate([low[known], high[known]]))
        limit = 1.15 * max(float(np.quantile(middle, 0.8)), d.worth or 0.0, float(np.abs(mean[known]).max()))
        ax.set_ylim(-limit, limit)
    if d.decided_after:
        ax.axvline(d.decided_after, color=ORANGE, linestyle="--", linewidth=1.2, label=f"after {d.decided_after} pairs")
    ax.set_xlim(x[0] - 0.5, max(x[-1], x[0] + 1) + 0.5)


def write_decision(contests: Sequence[Contest], costs: Sequence[Cost | None], budget: int | None, folder: Path) -> Path:
    """Write index.html, decide.md, looks.csv and the figure; return the page."""
    try:
        with draft_folder(folder) as draft:
            with mpl.rc_context(STYLE):
                save_figure(draw_decision(contests), draft, "decide")
            pd.concat([looks_table(c) for c in contests]).to_csv(draft / "looks.csv", index=False)
            write_document(decision_document(contests, costs, budget), draft, "decide")
    except OSError as error:
        raise unwritable_error(folder, error) from error
    return folder / "index.html"
