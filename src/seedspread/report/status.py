"""The progress of a study in words."""

from datetime import UTC, datetime

from seedspread.config.overrides import shorten_seeds
from seedspread.records.claims import asked_seeds, read_claims, stop_reason
from seedspread.records.progress import Progress, format_duration
from seedspread.records.record import Record
from seedspread.records.study import Study

RECENT = 50  # records that the rate is computed from


def describe_status(study: Study) -> str:
    """Seeds done of those requested, running, rate and time left; then scores and problems."""
    scan = study.scan()
    progress = Progress.of(scan.records.values())
    claims = read_claims(study.folder)
    done, asked = len(progress.scores) + len(progress.diverged), len(asked_seeds(study.folder))
    parts = [f"{done}/{max(asked, done)} done" if asked else f"{done} done"]
    if claims.alive:
        parts.append(f"{len(claims.alive)} running (seed {shorten_seeds(sorted(claims.alive))})")
    if claims.abandoned:
        parts.append(f"{len(claims.abandoned)} interrupted (seed {shorten_seeds(sorted(claims.abandoned))})")
    rate = _seeds_per_hour(list(scan.records.values())) if claims.alive else 0.0
    if rate:
        parts.append(f"{rate:.0f} seeds/h")
    if rate and asked > done:
        parts.append(f"{format_duration((asked - done) / rate * 3600)} left")
    lines = [f"{study.name}: {', '.join(parts)}"]
    if scores := progress.describe():
        lines.append(f"  {scores}")
    if reason := stop_reason(study.folder):
        lines.append(f"  stopped: {reason}")
    lines += [f"  not counted: {name}: {reason}" for name, reason in scan.problems.items()]
    return "\n".join(lines)


def _seeds_per_hour(records: list[Record]) -> float:
    """Seeds per hour, from the latest records up to now."""
    ended = sorted(datetime.fromisoformat(record.ended) for record in records)[-RECENT:]
    if len(ended) < 2:
        return 0.0
    seconds = (max(datetime.now(UTC), ended[-1]) - ended[0]).total_seconds()
    return (len(ended) - 1) / max(seconds, 1.0) * 3600
