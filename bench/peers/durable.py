"""What every peer does last: Colonnade leaves its output on the disk, so the peers have to as well."""

import os


def flush(path: str) -> None:
    """Flushes one file or the entries of one folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(path: str) -> None:
    """Flushes a written file, and the entry of its folder, to the disk."""
    flush(path)
    flush(os.path.dirname(os.path.abspath(path)))


def sync_tree(path: str) -> None:
    """Flushes a written folder with all that is in it, and its entry."""
    for folder, _, names in os.walk(path):
        for name in names:
            flush(os.path.join(folder, name))
        flush(folder)
    flush(os.path.dirname(os.path.abspath(path)))
