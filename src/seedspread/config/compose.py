"""Where the configs are, conf/ of a checkout or the copy inside an installed package, and composing one of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from seedspread.config.overrides import format_value, quote_letters

_PACKAGED = Path(__file__).resolve().parent.parent / "conf"
CONF = str(_PACKAGED if _PACKAGED.is_dir() else _PACKAGED.parent.parent.parent / "conf")


def find_user_configs() -> Path | None:
    """conf/ of the working directory, where it is not seedspread's own: more experiments, data and networks."""
    folder = Path("conf").absolute()
    return folder if folder.is_dir() and folder.resolve() != Path(CONF).resolve() else None


def compose_config(name: str, overrides: Sequence[str], return_hydra_config: bool = False) -> DictConfig:
    """The config of that name with Hydra's `overrides`, composed outside a command; knows the user's configs too."""
    folder = find_user_configs()
    places = [f"hydra.searchpath=[{format_value(f'file://{folder}')}]"] if folder else []
    with _set_hydra_aside(), initialize_config_dir(CONF, version_base="1.3"):
        return compose(name, overrides=[*places, *quote_letters(overrides)], return_hydra_config=return_hydra_config)


@contextmanager
def _set_hydra_aside() -> Iterator[None]:
    """Within the block Hydra can be initialized, also where a Hydra application of the user's calls this package."""
    theirs = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = theirs
