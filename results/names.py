"""Names that go into file names."""

import hashlib
import re


def file_stem(dataset: str) -> str:
    """What stands for a data set in the names of files: its own name, where that is no path.

    The name of one that is a path (`npz:/data/photos.npz`) may be long, and holds what file names had better not have:
    its last part stands for it, without options and with a few letters of the whole name's checksum, which keep it
    apart from others that look alike.
    """
    scheme, colon, path = dataset.partition(":")
    if not colon:
        return dataset
    last = re.split(r"[/\\]", re.sub(r"\[[^\[\]]*\]$", "", path))[-1]
    stem = re.sub(r"[^a-z0-9]+", "-", f"{scheme}-{last}".lower()).strip("-")[:40]
    return f"{stem}-{hashlib.sha256(dataset.encode()).hexdigest()[:8]}"
