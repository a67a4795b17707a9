"""Which source of randomness matters: `python -m src.sources experiment=digits n=50`.

Five studies of n runs each: init alone, order alone, augmentation alone, all together, and nothing varied with
determinism off. Each is a sweep like any other, which resumes and has its own report.
"""

import math
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import hydra
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure
from omegaconf import DictConfig

from src.command_line import plain_errors, run, whole_number
from src.errors import InputError
from src.study import statistics as st
from src.study.figures import BLUE, GREY, dots, save
from src.study.findings import within
from src.study.scores import Scores
from src.study.statistics import Interval
from src.study.store import Study, study_folder, unwritable
from src.train import CONF

VARIED = {"init alone": "init", "order alone": "order", "augmentation alone": "augment"}
ALL, NOTHING = "all together", "nothing, determinism off"


@dataclass(frozen=True)
class Source:
    """What was varied, and the spread of the accuracy (points) that came of it; the interval is Bonett's."""

    varied: str
    study: str
    n: int
    mean: float
    std: float
    std_interval: Interval

    @property
    def variance(self) -> float:
        return self.std**2

    @property
    def variance_interval(self) -> Interval:
        return Interval(self.std_interval.low**2, self.std_interval.high**2)


def sweeps(study: str, n: int, streams: Iterable[str]) -> dict[str, tuple[str, list[str]]]:
    """For each source the study that varies it, and what to sweep; `streams` are the names of all there are."""
    design = {
        varied: (f"{study}-{stream}", [f"study={study}", "seed=0", f"streams.{stream}=range(0,{n})"])
        for varied, stream in VARIED.items()
    }
    design[ALL] = (study, [f"study={study}", f"seed=range(0,{n})"])
    # Every stream is held: the seed only numbers the runs.
    held = [f"streams.{name}=0" for name in streams]
    off = [f"seed=range(0,{n})", *held, "trainer.deterministic=false", f"study={study}-nothing"]
    design[NOTHING] = (f"{study}-nothing", off)
    return design


def source_of(varied: str, study: Study, n: int) -> Source:
    """The spread over runs 0 to n - 1 of one study, whichever others it has; InputError where some are missing."""
    scores = Scores.of(study)
    accuracy = scores.accuracy[scores.seeds < n]
    if len(accuracy) < n:
        raise InputError(f"{study.folder}: {len(accuracy)} of {n} runs finished; python -m src.status says more")
    mean, std = float(accuracy.mean()), float(st.sample_std(accuracy))
    return Source(varied, study.name, n, mean, std, st.std_interval(accuracy))


def markdown_table(sources: Sequence[Source]) -> str:
    """Variances by source, with intervals, and their share of what all together give."""
    whole = next(source.variance for source in sources if source.varied == ALL)
    lines = ["| varied | runs | mean ± std, % | variance, 95 % | of all together |", "|---|---|---|---|---|"]
    for s in sources:
        interval = "" if math.isnan(s.std_interval.low) else f" ({within(s.variance_interval)})"
        share = f"{100 * s.variance / whole:.0f} %" if whole else ""
        spread = f"{s.mean:.2f} ± {s.std:.2f}"
        lines.append(f"| {s.varied} | {s.n} | {spread} | {s.variance:.3f}{interval} | {share} |")
    alone = [source for source in sources if source.varied in VARIED]
    if whole and alone:
        least = sum(source.variance_interval.low for source in alone)
        most = next(source.variance_interval.high for source in sources if source.varied == ALL)
        total = sum(source.variance for source in alone)
        lines.append(
            f"\nThe three alone add up to {total:.3f}, {100 * total / whole:.0f} % of all together"
            + (
                ": sources do not add up. Training makes much of any small difference, wherever it comes from."
                if least > most
                else "; so few runs do not show whether sources add up."
            )
        )
    return "\n".join(lines)


def figure(sources: Sequence[Source]) -> Figure:
    """The std of each source with its 95 % interval."""
    rows = [(s.varied, s.std, s.std_interval, BLUE if s.varied in VARIED else GREY) for s in sources]
    return dots(rows, f"std of the accuracy over {sources[0].n} runs, points, with its 95 % interval")


def write(sources: Sequence[Source], folder: Path) -> None:
    """Table and figure of `sources` as sources.md, .csv, .png and .svg in `folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sources.md").write_text(markdown_table(sources) + "\n\n![spread by source](sources.png)\n")
        rows = [
            {"varied": s.varied, "study": s.study, "runs": s.n, "mean": s.mean, "std": s.std, "variance": s.variance}
            | {"variance_low": s.variance_interval.low, "variance_high": s.variance_interval.high}
            for s in sources
        ]
        pd.DataFrame(rows).to_csv(folder / "sources.csv", index=False)
        save(figure(sources), folder, "sources")
    except OSError as error:
        raise unwritable(folder, error) from error


def run_sweeps(design: Mapping[str, tuple[str, list[str]]], overrides: Sequence[str]) -> None:
    """Run the sweeps one after the other, each on the whole machine; InputError where one fails."""
    for varied, (_, swept) in design.items():
        print(f"\n== {varied}", flush=True)
        command = [sys.executable, "-m", "src.train", "-m", *overrides, *swept]
        if code := subprocess.run(command, cwd=HydraConfig.get().runtime.cwd).returncode:
            raise InputError(f"the sweep of {varied} ended with {code}; the same command goes on from here")


def _key(override: str) -> str:
    return override.lstrip("+~").split("=")[0]


@hydra.main(version_base="1.3", config_path=CONF, config_name="sources")
def main(cfg: DictConfig) -> None:
    """Train what is missing of the five studies, then print and draw the spread by source."""
    with plain_errors():
        n = whole_number(cfg, "n", least=2)
        overrides = HydraConfig.get().overrides.task
        if given := [o for o in overrides if _key(o).split(".")[0] in ("seed", "seeds", "streams")]:
            raise InputError(f"{given[0]}: the design sets seeds and streams; say how many runs with n=")
        design = sweeps(cfg.study, n, cfg.streams)
        run_sweeps(design, [o for o in overrides if _key(o) not in ("n", "study")])
        studies = {varied: Study.load(study_folder(cfg.results, name)) for varied, (name, _) in design.items()}
        sources = [source_of(varied, study, n) for varied, study in studies.items()]
        folder = study_folder(cfg.results, f"{cfg.study}-sources")
        write(sources, folder)
        print(f"\n{markdown_table(sources)}\n\ntable and figure in {folder}")


if __name__ == "__main__":
    run(main)
