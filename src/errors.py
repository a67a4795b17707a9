"""The one exception that speaks to the user."""


class InputError(Exception):
    """Bad input, told in one or two lines: the value, where it came from, and the fix."""


def input_error_in(error: BaseException | None) -> InputError | None:
    """The InputError that `error` is or was raised from; Hydra wraps what a _target_ raises."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error
