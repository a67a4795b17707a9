"""How much spread each source of randomness causes alone: `seedspread sources experiment=digits n=50`.

A tenth of the training examples validates, unless data.validation says otherwise: which, is one of the sources.
"""

from collections.abc import Iterable, Sequence

import hydra
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from seedspread.commands.console import plain_errors
from seedspread.commands.sweep import StudySweep, train_studies
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import override_key, validation_overrides
from seedspread.config.schema import Sources, is_foreign
from seedspread.execution.signals import say
from seedspread.records.study import Study, study_folder
from seedspread.report.document import parts_to_markdown
from seedspread.report.sources import ALL, NOTHING, VARIED, read_source, sources_sentence, sources_table, write_sources


def plan_studies(study: str, streams: Iterable[str], validation: Sequence[str]) -> dict[str, tuple[str, list[str]]]:
    """The study that varies each source, and its overrides; `streams` names those that the design holds or varies.

    What is not held varies. `validation` are the overrides that all studies have beside those that were typed; where
    there are none, the study of all sources together is `study` itself.
    """
    held = {name: f"streams.{name}=0" for name in streams}
    design = {
        varied: (f"{study}-{stream}", [override for name, override in held.items() if name != stream])
        for varied, stream in VARIED.items()
        if stream in held
    }
    design[ALL] = f"{study}-all" if validation else study, []
    # Every stream is fixed: the seed only numbers the runs.
    design[NOTHING] = f"{study}-nothing", [*held.values(), "trainer.deterministic=false"]
    return {varied: (name, [*validation, *overrides]) for varied, (name, overrides) in design.items()}


@hydra.main(version_base="1.3", config_path=CONF, config_name="sources")
def main(cfg: DictConfig) -> None:
    """Train the missing runs of the six studies, then print and draw the spread by source."""
    with plain_errors():
        check_config(cfg, Sources)
        n = cfg.n
        overrides = HydraConfig.get().overrides.task
        if given := [o for o in overrides if override_key(o).split(".")[0] in ("seed", "seeds", "streams")]:
            raise InputError(f"{given[0]}: the design sets seeds and streams; set the number of runs with n=")
        validation = validation_overrides(cfg, overrides)
        # Where all examples train there is no split, and the stream is left alone; data of others may draw from it.
        whole = not validation and not is_foreign(cfg, "data") and cfg.data.get("validation", 0) is None
        streams = [name for name in cfg.streams if not (whole and name == "split")]
        design = plan_studies(cfg.study, streams, validation)
        others = [o for o in overrides if override_key(o) not in ("n", "study")]
        sweeps = []
        for name, held in design.values():
            composed = compose("train", [*others, *held, f"study={name}"], return_hydra_config=True)
            sweeps.append(StudySweep(composed, list(range(n))))
            sweeps[-1].check()
        train_studies(sweeps, quiet=True)
        studies = {varied: Study.load(study_folder(cfg.results, name)) for varied, (name, _) in design.items()}
        sources = [read_source(varied, study, n) for varied, study in studies.items()]
        folder = study_folder(cfg.results, f"{cfg.study}-sources")
        page = write_sources(cfg.study, sources, folder)
        sentence = sources_sentence(sources)
        say("\n".join(["", *([sentence, ""] if sentence else []), parts_to_markdown(sources_table(sources)), ""]))
        say(f"page in {page}")
