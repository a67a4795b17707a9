"""Search an experiment's settings by trials on the same seeds, and judge the best on fresh ones: `seedspread tune`.

Imports neither torch nor Lightning: its worker processes do.
"""

import shlex
from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from seedspread.commands.console import plain_errors
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import results_override
from seedspread.report.search_page import write_search_report
from seedspread.report.search_words import cautions, search_headline, winners_curse
from seedspread.search.plan import Search
from seedspread.search.results import SearchResults


def suggest_commands(search: Search, found: SearchResults, overrides: Sequence[str]) -> list[str]:
    """The next commands to type: search on near the best points, or examine the winner."""
    others = [o for o in overrides if not o.startswith(("search=", "trials=", "report="))]
    j = found.judgement
    where = results_override(search.folder)
    lines = []
    if not search.cfg.report:  # report=true may be typed without the settings of the search
        spent = sum(search.exploits(trial) for trial in found.trials)
        further = shlex.join(["seedspread", "tune", *others, "search=exploit", f"trials={spent + 16}"])
        lines.append(f"{further}   # searches on near the best points")
    if j and j.advice == "more seeds" and not search.cfg.report:
        same = [o for o in overrides if not o.startswith("fresh_seeds=")]
        more = shlex.join(["seedspread", "tune", *same, f"fresh_seeds={2 * j.decision.pairs}"])
        lines.insert(0, f"{more}   # continues the decision")
    if j and j.comparison:
        arms = [f"baseline={j.decision.baseline}", f"candidate={j.decision.candidate}", "pair=true"]
        arms += [f"metric={j.comparison.metric.name}"] * j.has_test_set
        lines.append(f"{shlex.join(['seedspread', 'compare', *arms, *where])}   # their fresh seeds in full")
    lines.append(shlex.join(["seedspread", "report", f"study={found.best.name}", *where]))
    return lines


@hydra.main(version_base="1.3", config_path=CONF, config_name="tune")
def main(cfg: DictConfig) -> None:
    """Run the search that `cfg` asks for, or report on its records alone; exit 1 where seeds failed."""
    with plain_errors():
        overrides = HydraConfig.get().overrides.task
        search = Search(cfg, overrides)
        failures = [] if cfg.report else search.run()
        page, found = write_search_report(search)
        print(
            "\n"
            + "\n".join([search_headline(found), *winners_curse(found), *(f"  - {line}" for line in cautions(found))])
        )
        print(f"report in {page}")
        if failures:
            raise InputError(
                f"{search.folder.name}: {len(failures)} seeds failed, the last one {failures[-1]}\n"
                "The same command retries them."
            )
        for i, line in enumerate(suggest_commands(search, found, overrides)):
            print(f"{'     ' if i else 'next:'} {line}")
