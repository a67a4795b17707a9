"""The one exception that speaks to the user."""


class InputError(Exception):
    """Bad input, told in one or two lines: the value, where it came from, and the fix."""
