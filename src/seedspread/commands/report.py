"""The report of a study: page, tables, figures and TensorBoard bands: `seedspread report study=digits`.

From the records alone; neither torch nor Lightning is imported.
"""

import hydra
from omegaconf import DictConfig

from seedspread.commands.console import describe_studies, plain_errors, study_names, wanted_metric
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.schema import Report
from seedspread.records.study import Study, study_folder
from seedspread.report.study_page import write_reports
from seedspread.report.study_words import headline


@hydra.main(version_base="1.3", config_path=CONF, config_name="report")
def main(cfg: DictConfig) -> None:
    """Write the reports that `cfg` asks for, and print where."""
    with plain_errors():
        check_config(cfg, Report)
        names = list(dict.fromkeys(study_names(cfg)))
        if not names:
            there = describe_studies(cfg.results)
            raise InputError(f"study=?: name one, or several as study=[ONE,OTHER]; {cfg.results} has {there}")
        studies = [Study.load(study_folder(cfg.results, name)) for name in names]
        page, several = write_reports(studies, wanted_metric(cfg, studies[0]))
        for found in several:
            print(headline(found))
            if origin := found.scores.study.origin:
                print(origin)
        print(f"report in {page}")
        if cfg.metric is None:
            print(f"bands: tensorboard --logdir {cfg.results}")
