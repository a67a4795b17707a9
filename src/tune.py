"""Search an experiment's settings by trials that share seeds, and judge the best on fresh ones: `python -m src.tune`.

Imports neither torch nor Lightning: the workers do, in which training begins.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.command_line import plain_errors, run
from src.errors import InputError
from src.search import Search
from src.study.space import typed
from src.study.store import unwritable
from src.study.tuning import Tuned, cautions, headline, honesty
from src.study.tuning_page import write
from src.train import CONF


def report(search: Search) -> tuple[Path, Tuned]:
    """Write the page of a search from its records; NothingFinished where no trial has a finished seed."""
    found = Tuned.of(search.folder, search.space)
    try:
        return write(found, search.folder / "report"), found
    except OSError as error:
        raise unwritable(search.folder, error) from error


def next_commands(search: Search, found: Tuned, overrides: Sequence[str]) -> list[str]:
    """What to type after a search: go on where scores promise most, or look at the winner."""
    others = [o for o in overrides if not o.startswith(("search=", "trials=", "report="))]
    where = f"results={typed(str(search.folder))}"
    lines = []
    if not search.cfg.report:  # by which a search is named with less than what makes it
        spent = sum(search.exploits(trial) for trial in found.trials)
        further = shlex.join(["python", "-m", "src.tune", *others, "search=exploit", f"trials={spent + 16}"])
        lines.append(f"{further}   # goes on where scores promise most")
    if found.judgement and found.judgement.compared:
        baseline, winner = found.judgement.arms
        arms = [f"baseline={baseline.name}", f"candidate={winner.name}", "pair=true"]
        lines.append(f"{shlex.join(['python', '-m', 'src.compare', *arms, where])}   # the verdict in full")
    lines.append(shlex.join(["python", "-m", "src.report", f"study={found.best.name}", where]))
    return lines


@hydra.main(version_base="1.3", config_path=CONF, config_name="tune")
def main(cfg: DictConfig) -> None:
    """Run the search that `cfg` asks for, or only report on what is recorded of it; exit 1 where seeds failed."""
    with plain_errors():
        if cfg.seeds is not None:
            raise InputError("-m or seeds=: a search trains many seeds of many trials by itself; leave it out")
        if not isinstance(cfg.report, bool):
            raise InputError(f"report={cfg.report}: true, or leave it out")
        overrides = HydraConfig.get().overrides.task
        search = Search(cfg, overrides)
        failures = [] if cfg.report else search.run()
        page, found = report(search)
        print("\n" + "\n".join([headline(found), *honesty(found), *(f"  - {line}" for line in cautions(found))]))
        print(f"report in {page}")
        if failures:
            raise InputError(
                f"{search.folder.name}: {len(failures)} seeds failed, the last one {failures[-1]}\n"
                "The same command tries them again."
            )
        for i, line in enumerate(next_commands(search, found, overrides)):
            print(f"{'     ' if i else 'next:'} {line}")


if __name__ == "__main__":
    run(main)
