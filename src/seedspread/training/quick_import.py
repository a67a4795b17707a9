"""Imports torch and Lightning; what else imports them comes after it.

They make 400,000 objects that stay. To search these for garbage again and again would take a quarter of the import's
time, so they are kept out of it.
"""

import gc

_collects = gc.isenabled()
gc.disable()
try:
    import lightning  # noqa: F401
    import torch  # noqa: F401

    gc.freeze()
finally:
    if _collects:
        gc.enable()
