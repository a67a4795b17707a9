"""What is said of an error."""

from seedspread.config.errors import InputError
from seedspread.config.explain import explain_error


def test_an_input_error_is_found_under_what_hydra_wraps_around_it():
    wrapped = RuntimeError("Error in call to target")
    wrapped.__cause__ = InputError("model.width=0: too narrow")
    assert explain_error(wrapped) == "model.width=0: too narrow"
