"""The one exception whose text is meant for the user."""


class InputError(Exception):
    """Bad input in one or two lines: the value, where it came from, and the fix.

    >>> ss.Streams.of(-1)
    Traceback (most recent call last):
        ...
    seedspread.config.errors.InputError: streams.init=-1: a seed is a whole number from 0 to 2**63-1, ...
    """


def find_input_error(error: BaseException | None) -> InputError | None:
    """The InputError that `error` is or was raised from; Hydra wraps what a _target_ raises."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


def was_interrupted(error: BaseException | None) -> bool:
    """Whether `error` is an interrupt, or came up while one was handled: OmegaConf's `finally` blocks fail then."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
