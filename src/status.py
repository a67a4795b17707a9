"""How far studies are, from any terminal or node that sees the results: `python -m src.status study=digits`."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

import hydra
from omegaconf import DictConfig

from src.command_line import named_studies, plain_errors, run
from src.errors import InputError
from src.study.progress import Progress, duration
from src.study.store import Record, Study, studies_in
from src.train import CONF

RECENT = 50  # records that the rate is taken from


def status(study: Study) -> str:
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
        parts.append(f"{duration((asked - done) / rate * 3600)} left")
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


@hydra.main(version_base="1.3", config_path=CONF, config_name="status")
def main(cfg: DictConfig) -> None:
    """Print the status of the studies that `cfg` names, or of all in its results folder."""
    with plain_errors():
        searches: list[Path] = []
        if not (names := named_studies(cfg)):
            names = studies_in(cfg.results)
            searches = sorted(path.parent for path in Path(cfg.results).glob("*/search.yaml"))
        if not names and not searches:
            raise InputError(f"no study in {cfg.results}; train one: python -m src.train seed=0 experiment=digits")
        damaged = []
        for name in names:
            try:
                print(status(Study.load(Path(cfg.results) / name)))
            except InputError as error:
                damaged.append(str(error))
        for folder in searches:
            n = len(list(folder.glob("trial-*/trial.json")))
            where = shlex.quote(f"results={folder}")
            print(f"{folder.name}: {n} trial{'s' * (n != 1)}, each a study: python -m src.status {where}")
        if damaged:
            raise InputError("\n".join(damaged))


if __name__ == "__main__":
    run(main)
