"""Search an experiment's settings by trials that share seeds, and judge the best on fresh ones: `python -m src.tune`.

Imports nothing heavy: torch and Lightning come in where training begins, in the workers.
"""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.command_line import plain_errors, run
from src.errors import InputError
from src.search import Search
from src.train import CONF


@hydra.main(version_base="1.3", config_path=CONF, config_name="tune")
def main(cfg: DictConfig) -> None:
    """Run the search that `cfg` asks for, or report on what is recorded of it."""
    with plain_errors():
        if cfg.seeds is not None:
            raise InputError("-m: a search trains many seeds of many trials by itself; leave -m out")
        search = Search(cfg, HydraConfig.get().overrides.task)
        search.run()
        print(search.share())


if __name__ == "__main__":
    run(main)
