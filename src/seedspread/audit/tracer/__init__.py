"""The tracer: what a training program draws, computes and learns, as hashes in a file as it goes.

It is put into programs that know nothing of it, whatever their environment: it imports the standard library and what
the program has imported, and its own files by relative imports, since there this package has another name.
"""

from .session import Session, start_from_environment

__all__ = ["Session", "start_from_environment"]
