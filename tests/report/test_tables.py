"""Tables of studies, the paper's row among them."""

import pandas as pd

from seedspread.config.identity import study_identity
from seedspread.config.resolve import resolve_config
from seedspread.report.document import parts_to_markdown
from seedspread.report.study_page import write_reports
from seedspread.report.tables import latex_table, results_table
from tests.synthetic import found_in


def test_the_papers_row_stands_beside_the_same_setting_only(make_study, config):
    def study_of(name, *overrides):
        return make_study(
            [0.9, 0.91],
            name,
            study_identity(resolve_config(config("experiment=cifar_short", "trainer=cpu", *overrides))),
        )

    short = study_of("mine")
    text = write_reports([short])[0].with_name("report.md").read_text()
    assert "*Picard 2021* | *10,000* | *90.02 ± 0.23*" in text
    assert r"Picard (2021) & 10,000 & 90.02 $\pm$ 0.23" in latex_table([found_in(short)])
    assert list(pd.read_csv(short.folder / "report" / "table.csv")["source"]) == ["measured", "paper"]
    assert "90.70 ± 0.20" in parts_to_markdown(results_table([found_in(study_of("longer", "experiment=cifar_long"))]))
    for i, change in enumerate(("trainer.max_epochs=23", "optimizer.lr=0.1", "model.width=32", "streams.init=0")):
        assert "Picard" not in parts_to_markdown(results_table([found_in(study_of(f"cifar_short{i}", change))]))
    named = make_study([0.9, 0.91], "imagenet_resnet50")
    assert "Picard" not in parts_to_markdown(results_table([found_in(named)]))
