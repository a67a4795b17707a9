"""The progress of a study in words."""

from datetime import UTC, datetime

from seedspread.config.overrides import shorten_seeds
from seedspread.execution.leases import read_leases
from seedspread.execution.monitor import MOST_BARS, format_progress
from seedspread.records.progress import Progress, format_duration
from seedspread.records.record import Record
from seedspread.records.requests import asked_seeds, stop_reason
from seedspread.records.study import Study

MOST_PROBLEMS = 10  # files of a study that do not count, a line each
RECENT = 50  # records that the rate is computed from


def describe_status(study: Study) -> str:
    """Seeds done of those requested, running, rate and time left; then scores and problems."""
    scan = study.scan()
    progress = Progress.of(scan.records.values(), study.metric)
    leases = read_leases(study.folder)
    running = [lease for lease in leases if not lease.holder.is_gone()]
    interrupted = [lease.seed for lease in leases if lease.holder.is_gone()]
    done, asked = len(progress.scores) + len(progress.diverged), len(asked_seeds(study.folder))
    parts = [f"{done}/{max(asked, done)} done" if asked else f"{done} done"]
    if running:
        parts.append(f"{len(running)} running (seed {shorten_seeds([lease.seed for lease in running])})")
    if interrupted:
        parts.append(f"{len(interrupted)} interrupted (seed {shorten_seeds(interrupted)})")
    rate = _seeds_per_hour(list(scan.records.values())) if running else 0.0
    if rate:
        parts.append(f"{rate:.0f} seeds/h")
    if rate and asked > done:
        parts.append(f"{format_duration((asked - done) / rate * 3600)} left")
    lines = [f"{study.name}: {', '.join(parts)}"]
    if scores := progress.describe():
        lines.append(f"  {scores}" if study.metric.quantity != study.metric.name else f"  {study.metric.name} {scores}")
    measured = [lease for lease in running if format_progress(lease.progress)]
    lines += [
        f"  seed {lease.seed} on {lease.holder.host}: {format_progress(lease.progress)}"
        for lease in measured[:MOST_BARS]
    ]
    if study.origin:
        lines.append(f"  {study.origin.removeprefix(f'{study.name}: ')}")
    if reason := stop_reason(study.folder):
        lines.append(f"  stopped: {reason}")
    problems = [f"  not counted: {name}: {reason}" for name, reason in scan.problems.items()]
    lines += problems[:MOST_PROBLEMS]
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"  not counted: {len(problems) - MOST_PROBLEMS} more")
    return "\n".join(lines)


def _seeds_per_hour(records: list[Record]) -> float:
    """Seeds per hour, from the latest records up to now."""
    ended = sorted(datetime.fromisoformat(record.ended) for record in records)[-RECENT:]
    if len(ended) < 2:
        return 0.0
    seconds = (max(datetime.now(UTC), ended[-1]) - ended[0]).total_seconds()
    return (len(ended) - 1) / max(seconds, 1.0) * 3600
