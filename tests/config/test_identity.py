"""What makes a study, and its digest."""

from seedspread.config import identity
from seedspread.config.identity import compute_digest, find_differences, study_identity
from seedspread.config.resolve import resolve_config

DIGESTS = {"cifar_quick": "f356b50a13a2", "cifar_short": "46ccd36eba7a", "digits": "37886f8bac89"}


def test_other_studies_keep_their_digest(config):
    """Theirs on a CPU in single precision from before there were backbones."""
    assert "backbone" not in study_identity(resolve_config(config("experiment=cifar_quick", "trainer=cpu")))
    digests = {
        name: compute_digest(
            study_identity(resolve_config(config(f"experiment={name}", "trainer=cpu", "trainer.precision=32-true")))
        )[:12]
        for name in ("cifar_quick", "cifar_short", "digits")
    }
    assert digests == DIGESTS


def test_differences_speak_in_dotted_keys():
    assert find_differences({"a": {"b": 1, "c": {}}}, {"a": {"b": 2, "c": {}}}) == [("a.b", 1, 2)]


def test_compilation_is_part_of_a_study_where_it_is_used(small):
    assert "compile" not in identity.study_identity(resolve_config(small()))
    how = identity.study_identity(resolve_config(small("compile={mode:reduce-overhead}")))["compile"]
    assert how == {"mode": "reduce-overhead"}
