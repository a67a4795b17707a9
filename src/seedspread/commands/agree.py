"""Do seeds agree on single test examples: `seedspread agree study=digits`, or of two studies 'study=[A,B]'.

From the records alone; neither torch nor Lightning is imported.
"""

import hydra
from omegaconf import DictConfig

from seedspread.commands.console import load_studies, plain_errors
from seedspread.config.check import check_config
from seedspread.config.compose import CONF
from seedspread.config.errors import InputError
from seedspread.config.schema import Agree
from seedspread.records.scores import Scores
from seedspread.report.agreement import Agreement
from seedspread.report.agreement_page import side_by_side_tables, side_by_side_words, write_agreement
from seedspread.report.agreement_words import agreement_words
from seedspread.report.collapse import leave_out_collapsed
from seedspread.report.document import parts_to_markdown


@hydra.main(version_base="1.3", config_path=CONF, config_name="agree")
def main(cfg: DictConfig) -> None:
    """Print how far the seeds of a study agree, or those of several beside and with one another; write a page."""
    with plain_errors():
        check_config(cfg, Agree)
        several = []
        for study in load_studies(cfg):
            if (found := Agreement.of(*leave_out_collapsed(Scores.of(study)))) is None:
                raise InputError(
                    f"study={study.name}: the predicted labels of at least 2 seeds are needed, and {study.folder} has "
                    "none; seeds that predict classes record them"
                )
            several.append(found)
        if len(several) > 1:
            churn, *tables = map(parts_to_markdown, side_by_side_tables(several))
            said = [churn, *side_by_side_words(several), *tables]
        else:
            said = agreement_words(several[0])
        print("\n\n".join(said), end="\n\n")
        print(f"page in {write_agreement(several)}")
