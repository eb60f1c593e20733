"""What others may have put into a folder -> whether this user heeds it.

A folder above the working directory may be everybody's, as /tmp is: what lies there may not become the configuration,
or the store, of all that is run below (git's CVE-2022-24765).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def is_heeded(folder: Path, name: str, start: Path) -> bool:
    """Whether a file in `folder` counts for what is run in `start`.

    It must be this user's, root's, or of whoever owns `start`, whose code is run anyway; or lie where nobody but these
    can have put it.
    """
    try:
        own = {*_owners(), os.stat(start).st_uid}
        around = os.stat(folder)
        if around.st_uid in own and not around.st_mode & stat.S_IWOTH:
            return True
        return os.lstat(folder / name).st_uid in own
    except OSError:
        return False


def home_objection(home: Path, root: Path) -> str:
    """Why the home of a project is not used, and what to do; "" where it is this user's alone, or not there yet."""
    try:
        status = os.stat(home)
    except OSError:
        return ""
    foreign = is_foreign(status, root)
    if not foreign and not status.st_mode & stat.S_IWOTH:
        return ""
    import shlex  # takes milliseconds, and hardly ever is there anything to say

    place = shlex.quote(str(home))
    other = "or set the environment variable POET_HOME to a folder of yours"
    if foreign:
        return f"belongs to another user (uid {status.st_uid}): sudo chown -R $(id -u) {place}, {other}"
    return f"may be written to by every user of this machine: chmod -R go-w {place}, {other}"


def is_foreign(status: os.stat_result, root: Path) -> bool:
    """Whether it belongs to another user; for root, as in a container, the owner of the project `root` is none."""
    own = _owners()
    return status.st_uid not in own and not (os.geteuid() == 0 and status.st_uid == os.stat(root).st_uid)


def _owners() -> tuple[int, ...]:
    return (os.geteuid(), 0)
