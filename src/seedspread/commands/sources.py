"""How much spread each source of randomness causes alone: `seedspread sources experiment=digits n=50`."""

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from seedspread.commands.console import plain_errors, user_environment
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import override_key
from seedspread.config.schema import Sources
from seedspread.records.study import Study, study_folder
from seedspread.report.document import parts_to_markdown
from seedspread.report.sources import ALL, NOTHING, VARIED, read_source, sources_sentence, sources_table, write_sources


def plan_sweeps(study: str, n: int, streams: Iterable[str]) -> dict[str, tuple[str, list[str]]]:
    """The study that varies each source, and the overrides of its sweep; `streams` names every stream."""
    design = {
        varied: (f"{study}-{stream}", [f"study={study}", "seed=0", f"streams.{stream}=range(0,{n})"])
        for varied, stream in VARIED.items()
    }
    design[ALL] = (study, [f"study={study}", f"seed=range(0,{n})"])
    # Every stream is fixed: the seed only numbers the runs.
    fixed = [f"streams.{name}=0" for name in streams]
    off = [f"seed=range(0,{n})", *fixed, "trainer.deterministic=false", f"study={study}-nothing"]
    design[NOTHING] = (f"{study}-nothing", off)
    return design


def run_sweeps(design: Mapping[str, tuple[str, list[str]]], overrides: Sequence[str]) -> None:
    """Run the sweeps one after another, each on the whole machine; InputError where one fails."""
    for varied, (_, swept) in design.items():
        print(f"\n== {varied}", flush=True)
        command = [sys.executable, "-m", "seedspread", "train", "-m", *overrides, *swept]
        done = subprocess.run(command, cwd=HydraConfig.get().runtime.cwd, env=user_environment())
        if done.returncode:
            raise InputError(
                f"the sweep of {varied} ended with exit code {done.returncode}; the same command resumes it"
            )


@hydra.main(version_base="1.3", config_path=CONF, config_name="sources")
def main(cfg: DictConfig) -> None:
    """Train the missing runs of the five studies, then print and draw the spread by source."""
    with plain_errors():
        check_config(cfg, Sources)
        n = cfg.n
        overrides = HydraConfig.get().overrides.task
        if given := [o for o in overrides if override_key(o).split(".")[0] in ("seed", "seeds", "streams")]:
            raise InputError(f"{given[0]}: the design sets seeds and streams; set the number of runs with n=")
        design = plan_sweeps(cfg.study, n, cfg.streams)
        run_sweeps(design, [o for o in overrides if override_key(o) not in ("n", "study")])
        studies = {varied: Study.load(study_folder(cfg.results, name)) for varied, (name, _) in design.items()}
        sources = [read_source(varied, study, n) for varied, study in studies.items()]
        folder = study_folder(cfg.results, f"{cfg.study}-sources")
        page = write_sources(cfg.study, sources, folder)
        sentence = sources_sentence(sources)
        print(*([sentence, ""] if sentence else []), parts_to_markdown(sources_table(sources)), "", sep="\n")
        print(f"page in {page}")
