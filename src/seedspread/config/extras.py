"""The extras of the installation: which packages training needs, and what installs them."""

from importlib.util import find_spec

from seedspread.config.errors import InputError

TRAINING_PACKAGES = ("lightning", "optuna", "sklearn", "timm", "torch", "torchvision")


def check_train_extra() -> None:
    """Raise InputError where packages that training needs are not installed."""
    if missing := [package for package in TRAINING_PACKAGES if find_spec(package) is None]:
        raise InputError(f"training needs {', '.join(missing)}; {explain_extra('train')}")


def explain_extra(extra: str) -> str:
    """What installs an extra."""
    return f"in a checkout of seedspread, type pip install '.[{extra}]'"
