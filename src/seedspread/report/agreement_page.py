"""Whether seeds agree, as a section of a report and as a page of its own."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from seedspread.records.files import combined_folder, draft_folder, unwritable_error
from seedspread.report.agreement import Agreement, BetweenStudies, in_common_terms
from seedspread.report.agreement_figures import PICTURES, draw_agreement
from seedspread.report.agreement_words import (
    agreement_words,
    between_words,
    calibration_table,
    churn_table,
    class_table,
    ensemble_table,
    left_out_words,
    unstable_table,
    unstable_words,
)
from seedspread.report.document import Document, Figure, Paragraph, Part, Section, Table, write_document

MOST_PAIRS = 6  # of studies; of more only the first is compared with the others


def agreement_section(several: Sequence[Agreement], captions: Mapping[str, str]) -> Section:
    """Do the seeds agree? Of one study all there is, of several their churn within and between; empty for none."""
    return Section("Do the seeds agree?", agreement_parts(several, captions), "Agreement")


def agreement_parts(several: Sequence[Agreement], captions: Mapping[str, str]) -> list[Part]:
    """What a section or a page shows; `captions` are those of the figures that were drawn, by name."""
    if not several:
        return []
    parts: list[Part]
    whose = " and ".join(f"{found.name}, {len(found.seeds):,} seeds" for found in several)
    drawn = {name: Figure(name, caption, whose, name == PICTURES) for name, caption in captions.items()}
    if len(several) > 1:
        parts = [*map(Paragraph, side_by_side_words(several)), *side_by_side_tables(several)]
        return [*parts, *(drawn[name] for name in ("reliability", "seed_map") if name in drawn)]
    found = several[0]
    parts = [*map(Paragraph, agreement_words(found))]
    parts += filter(None, [class_table(found), ensemble_table(several)])
    parts += [drawn[name] for name in ("reliability", "seed_map") if name in drawn]
    parts.append(Paragraph(unstable_words(found)))
    if PICTURES in drawn:
        parts.append(drawn[PICTURES])
    elif len(found.unstable):
        parts.append(unstable_table(found))
    return parts


def side_by_side_tables(several: Sequence[Agreement]) -> list[Table]:
    """Churn, and where probabilities are kept calibration and ensembles, of several studies."""
    tables = churn_table(in_common_terms(several)), calibration_table(several), ensemble_table(several)
    return [table for table in tables if table is not None]


def side_by_side_words(several: Sequence[Agreement]) -> list[str]:
    """How far the seeds of several studies agree with one another, and which seeds are left out, in sentences."""
    return [*between_studies(several), *(line for found in several for line in left_out_words(found))]


def between_studies(several: Sequence[Agreement]) -> list[str]:
    """How far the seeds of several studies agree with one another, in sentences, pair by pair."""
    pairs = list(combinations(several, 2))
    if len(pairs) > MOST_PAIRS:
        pairs = [(several[0], other) for other in several[1:]]
    lines: list[str] = []
    for one, other in pairs:
        between = BetweenStudies.of(one, other, len(pairs))
        if between is None:
            lines.append(f"{one.name} and {other.name}: unknown, {one.cannot_compare(other)}.")
        else:
            lines += between_words(between)
    return lines


def write_agreement(several: Sequence[Agreement]) -> Path:
    """Write the page on the agreement of one study beside its report, or of several side by side; return it."""
    study = several[0].scores.study
    folder = study.folder / "agreement"
    if len(several) > 1:
        folder = combined_folder(study.folder.parent, "+".join(found.name for found in several)) / "agreement"
    *names, last = (found.name for found in several)
    title = f"Do the seeds of {' and '.join(filter(None, (', '.join(names), last)))} agree?"
    try:
        with draft_folder(folder) as draft:
            first, *parts = agreement_parts(several, draw_agreement(several, draft))
            lead = [first.text] if isinstance(first, Paragraph) and isinstance(first.text, str) else []
            write_document(Document(title, lead, parts if lead else [first, *parts]), draft, "agreement")
    except OSError as error:
        raise unwritable_error(folder, error) from error
    return folder / "index.html"
