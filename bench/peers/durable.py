"""What every peer does last: Colonnade leaves its output on the disk, so the peers have to as well."""

import os


def sync(path: str) -> None:
    """Flushes a written file, and the entry of its folder, to the disk."""
    for name in (path, os.path.dirname(os.path.abspath(path))):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
