"""The page of an audit: what was found of each source, and what it rests on."""

from collections.abc import Sequence
from pathlib import Path

from seedspread.audit.audit import Audit
from seedspread.records.files import unwritable_error
from seedspread.report.audit_words import other_seed, same_seed, summarise_alarms
from seedspread.report.document import Bullets, Code, Document, Note, Paragraph, Section, Strong, Table, write_document

LIMITS = (
    "A finding holds for the steps that were traced, on this machine: what comes after them was not seen.",
    "Hashes that differ are of values that differ; of values that differ, one pair in four billion has equal hashes.",
    "A difference is located by the first hash that differs while what it depends on is equal. Causes are likely ones.",
    "A generator counts as drawn from when its state has changed. One that a program makes and keeps to itself, or one "
    "of another library, is not seen.",
    "The second run lists directories in reverse and has another PYTHONHASHSEED: neither should matter.",
)


def audit_document(audit: Audit, command: str, runs: Sequence[str]) -> Document:
    """The page; `runs` says what was run."""
    rows = [
        (
            Strong(str(f.source)) if f.alarm else str(f.source),
            Strong(str(f.verdict)) if f.alarm else str(f.verdict),
            f.evidence,
            f.cause,
            f"`{f.fix}`" if f.fix and "(" in f.fix and "," not in f.fix else f.fix,
        )
        for f in audit.findings
    ]
    table = Table(("source", "verdict", "what the traces show", "likely cause", "what to type"), rows)
    alarms = [Note([f"{f.source}: {f.verdict}. Likely: {f.cause}." for f in audit.alarms])] if audit.alarms else []
    return Document(
        "Does the seed do what you think?",
        [same_seed(audit) + ".", other_seed(audit) + "."],
        [Paragraph(summarise_alarms(audit.alarms)), *alarms, table],
        [
            Section("What was run", [Code(command, "bash"), Bullets(list(runs))]),
            Section("What a trace can show", [Bullets(LIMITS)]),
        ],
    )


def write_audit(audit: Audit, command: str, runs: Sequence[str], folder: Path) -> Path:
    """Write the page into the folder of the audit's traces; return it."""
    try:
        write_document(audit_document(audit, command, runs), folder, "audit")
    except OSError as error:
        raise unwritable_error(folder, error) from error
    return folder / "index.html"
