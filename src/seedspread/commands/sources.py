"""How much spread each source of randomness causes alone: `seedspread sources experiment=digits n=50`.

With butterfly=[0,5] the source is one bit of one weight, flipped before the first step or after epoch 5. A tenth of
the training examples validates, unless data.validation says otherwise: which, is one of the sources.
"""

from collections.abc import Iterable, Sequence

import hydra
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from seedspread.commands.console import as_list, plain_errors
from seedspread.commands.sweep import StudySweep, train_studies
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.overrides import format_value, override_key, validation_overrides
from seedspread.config.schema import Sources, is_foreign
from seedspread.execution.signals import say
from seedspread.records.study import Study, study_folder
from seedspread.report.butterfly import (
    CONTROLS,
    HELD,
    INIT,
    Butterfly,
    butterfly_answer,
    butterfly_table,
    name_flip,
    write_butterfly,
)
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


def plan_butterflies(
    study: str, streams: Sequence[str], validation: Sequence[str], epochs: Iterable[int]
) -> dict[str, tuple[str, list[str]]]:
    """As `plan_studies`: all streams held and a bit flipped after each of `epochs`, none flipped, and other seeds."""
    design = plan_studies(study, streams, validation)
    held = [*validation, *(f"streams.{name}=0" for name in streams)]
    flips = {name_flip(epoch): (f"{study}-butterfly-{epoch}", [*held, f"butterfly={epoch}"]) for epoch in epochs}
    return {HELD: (f"{study}-held", held), **flips} | {varied: design[varied] for varied in (ALL, INIT)}


def _read_epochs(cfg: DictConfig) -> list[int]:
    """The epochs of `butterfly`, ascending; none without it."""
    given = [] if cfg.butterfly is None else as_list(cfg.butterfly)
    if any(not isinstance(epoch, int) for epoch in given) or (cfg.butterfly is not None and not given):
        raise InputError(f"butterfly={cfg.butterfly}: name whole epochs, for example butterfly=[0,5]")
    return sorted(set(given))


@hydra.main(version_base="1.3", config_path=CONF, config_name="sources")
def main(cfg: DictConfig) -> None:
    """Train the missing runs of the studies, then print and draw the spread by source or that of one bit."""
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
        if epochs := _read_epochs(cfg):
            design = plan_butterflies(cfg.study, streams, validation, epochs)
        else:
            design = plan_studies(cfg.study, streams, validation)
        others = [o for o in overrides if override_key(o) not in ("n", "study", "butterfly")]
        sweeps = []
        for varied, (name, held) in design.items():
            composed = compose("train", [*others, *held, f"study={format_value(name)}"], return_hydra_config=True)
            sweeps.append(StudySweep(composed, list(range(CONTROLS if varied == HELD else n))))
            sweeps[-1].check()
        train_studies(sweeps, quiet=True)
        studies = {varied: Study.load(study_folder(cfg.results, name)) for varied, (name, _) in design.items()}
        if epochs:
            butterfly = Butterfly.read(studies, n)
            page = write_butterfly(cfg.study, butterfly, study_folder(cfg.results, f"{cfg.study}-butterfly"))
            lines, table = butterfly_answer(butterfly), butterfly_table(butterfly)
        else:
            sources = [read_source(varied, study, n) for varied, study in studies.items()]
            page = write_sources(cfg.study, sources, study_folder(cfg.results, f"{cfg.study}-sources"))
            lines, table = [line for line in [sources_sentence(sources)] if line], sources_table(sources)
        say("\n".join(["", *(f"{line}\n" for line in lines), parts_to_markdown(table), ""]))
        say(f"page in {page}")
