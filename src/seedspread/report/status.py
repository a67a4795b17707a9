"""How far studies are, from any terminal or node that sees the results: `seedspread status study=digits`."""

from datetime import UTC, datetime

from seedspread.records.progress import Progress, format_duration
from seedspread.records.record import Record
from seedspread.records.study import Study

RECENT = 50  # records that the rate is taken from


def describe_status(study: Study) -> str:
    """Seeds done of those asked for, running, rate and time left, then scores and what went wrong."""
    scan = study.scan()
    progress = Progress.among(scan.records.values())
    running, abandoned = study.claims()
    done, asked = len(progress.scores) + len(progress.diverged), len(study.asked())
    parts = [f"{done}/{max(asked, done)} done" if asked else f"{done} done"]
    if running:
        parts.append(f"{len(running)} running (seed {', '.join(map(str, sorted(running)[:8]))})")
    if abandoned:
        parts.append(f"{len(abandoned)} cut off (seed {', '.join(map(str, abandoned[:8]))})")
    rate = _per_hour(list(scan.records.values())) if running else 0.0
    if rate:
        parts.append(f"{rate:.0f} seeds/h")
    if rate and asked > done:
        parts.append(f"{format_duration((asked - done) / rate * 3600)} left")
    lines = [f"{study.name}: {', '.join(parts)}"]
    if told := progress.line():
        lines.append(f"  {told}")
    if reason := study.stopped():
        lines.append(f"  stopped: {reason}")
    lines += [f"  not counted: {name}: {reason}" for name, reason in scan.problems.items()]
    return "\n".join(lines)


def _per_hour(records: list[Record]) -> float:
    """Seeds an hour, over the latest records and up to now."""
    ended = sorted(datetime.fromisoformat(record["ended"]) for record in records)[-RECENT:]
    if len(ended) < 2:
        return 0.0
    seconds = (max(datetime.now(UTC), ended[-1]) - ended[0]).total_seconds()
    return (len(ended) - 1) / max(seconds, 1.0) * 3600
