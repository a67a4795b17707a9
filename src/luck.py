"""How much of a study's spread is luck with its test set: `python -m src.luck study=digits`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from src.command_line import named_studies, plain_errors, run
from src.errors import InputError
from src.study.figures import draw
from src.study.findings import Findings
from src.study.page import html_page, luck_in_words, luck_page
from src.study.scores import Scores
from src.study.store import Study, study_folder, unwritable
from src.train import CONF


def write(found: Findings) -> Path:
    """Write the page on luck of one study, beside its report; return it."""
    folder = found.scores.study.folder / "luck"
    try:
        folder.mkdir(exist_ok=True)
        text = luck_page(found, draw([found], folder, only="luck"))
        (folder / "luck.md").write_text(text)
        (folder / "index.html").write_text(html_page(text, folder))
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder / "index.html"


@hydra.main(version_base="1.3", config_path=CONF, config_name="luck")
def main(cfg: DictConfig) -> None:
    """Say what of each named study's spread is luck, and write it as a page."""
    with plain_errors():
        names = named_studies(cfg)
        if not names:
            raise InputError("study=?: name a study, for example study=digits")
        for name in names:
            found = Findings.of(Scores.of(Study.load(study_folder(cfg.results, name))))
            if found.luck is None:
                raise InputError(" ".join(luck_in_words([found])))
            print("\n\n".join(luck_in_words([found])))
            print(f"\npage in {write(found)}")


if __name__ == "__main__":
    run(main)
