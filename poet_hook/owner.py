"""What others may have put into a folder -> whether this user heeds it, and opened so that nothing else is read.

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


def open_inside(home: Path, path: Path, root: Path) -> int:
    """Open a file below `home` for reading; raises `OSError` where that is not what it seems.

    No link on the way is followed, and a link, hard link, pipe or device in its place is refused, as is what belongs to
    another user or may be written to by all.
    """
    *folders, name = path.relative_to(home).parts
    whole = home
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            whole /= part
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
            _refuse(os.fstat(folder), whole, root)
        whole = path
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if os.path.islink(whole):
            raise OSError(f"{whole} is a symbolic link, which may have come with a checkout: remove it") from error
        if error.errno is not None:  # not ours
            error.filename = str(path)
        raise
    finally:
        os.close(folder)
    try:
        status = os.fstat(opened)
        _refuse(status, path, root)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no regular file")
        if status.st_nlink > 1:
            raise OSError(f"{path} is a hard link")
    except BaseException:
        os.close(opened)
        raise
    return opened


def _refuse(status: os.stat_result, path: Path, root: Path) -> None:
    if is_foreign(status, root):
        raise OSError(f"{path} belongs to another user (uid {status.st_uid})")
    if status.st_mode & stat.S_IWOTH:
        raise OSError(f"{path} may be written to by every user: chmod -R go-w {path}")


def _owners() -> tuple[int, ...]:
    return (os.geteuid(), 0)
