"""How much of a study's spread is luck with its test set: `seedspread luck study=digits`."""

import hydra
from omegaconf import DictConfig

from seedspread.commands.console import load_studies, plain_errors, wanted_metric
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.schema import Luck
from seedspread.records.scores import Scores
from seedspread.report.findings import Findings
from seedspread.report.luck_page import write_luck
from seedspread.report.luck_words import luck_words


@hydra.main(version_base="1.3", config_path=CONF, config_name="luck")
def main(cfg: DictConfig) -> None:
    """Print how much of each named study's spread is luck, and write a page."""
    with plain_errors():
        check_config(cfg, Luck)
        for study in load_studies(cfg):
            found = Findings.of(Scores.of(study, wanted_metric(cfg, study)))
            if found.luck is None:
                raise InputError(" ".join(luck_words(found)))
            print("\n\n".join(luck_words(found)))
            print(f"\npage in {write_luck(found)}")
