"""Where the configs are: conf/ of a checkout, or the copy inside an installed package."""

from pathlib import Path

_PACKAGED = Path(__file__).resolve().parent.parent / "conf"
CONF = str(_PACKAGED if _PACKAGED.is_dir() else _PACKAGED.parent.parent.parent / "conf")
