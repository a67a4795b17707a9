"""The report of a study: page, tables, figures and TensorBoard bands: `seedspread report study=digits`.

From the records alone; neither torch nor Lightning is imported.
"""

import hydra
from omegaconf import DictConfig

from seedspread.commands.console import load_studies, plain_errors, wanted_metric
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.schema import Report
from seedspread.report.study_page import write_reports
from seedspread.report.study_words import headline, left_out


@hydra.main(version_base="1.3", config_path=CONF, config_name="report")
def main(cfg: DictConfig) -> None:
    """Write the reports that `cfg` asks for, and print where."""
    with plain_errors():
        check_config(cfg, Report)
        studies = load_studies(cfg)
        page, several = write_reports(studies, wanted_metric(cfg, studies[0]))
        for found in several:
            print(headline(found))
            for line in left_out(found.whole):
                print(f"  {line}")
            if origin := found.scores.study.origin:
                print(origin)
        print(f"report in {page}")
        if cfg.metric is None:
            print(f"bands: tensorboard --logdir {cfg.results}")
