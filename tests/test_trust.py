"""What came with a checkout, or lies where others can write, makes nothing run, and loses nothing of this user's."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from poet_hook.errors import SettingsError, StoreError
from poet_hook.settings import load as settings_of
from poet_hook.store.database import Store

NOBODY = {"HOME": "/home/nobody"}
ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="only root can give a file to another user")


# --------------------------------------------------------------------------- the store's files


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The home of a store with something in it, beside a file of this user's that is called precious."""
    store = Store(tmp_path / ".poet")
    store.set_meta("name", "value")
    store.close()
    (tmp_path / "precious").write_bytes(b"precious" * 200)
    return tmp_path / ".poet"


def journal_that_names(path: Path, home: Path) -> bytes:
    """A journal from which SQLite deletes `path`: one of several that belong to a transaction, which `path` lists."""
    page, magic = 4096, bytes.fromhex("d9d505f920a163d7")
    pages = (home / "poet.db").stat().st_size // page
    head = (magic + struct.pack(">IIIII", 0, 1234, pages, 512, page)).ljust(512, b"\0")
    name = str(path).encode()
    return head + struct.pack(">I", 0x40000000 // page + 1) + name + struct.pack(">II", len(name), sum(name)) + magic


PLANTED: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a journal that names it": (
        lambda home, file: (home / "poet.db-journal").write_bytes(journal_that_names(file, home)),
        "the journal beside it names another file",
    ),
    "its log is a link": (lambda home, file: (home / "poet.db-wal").symlink_to(file), "poet.db-wal is no regular file"),
    "its log is a hard link": (lambda home, file: os.link(file, home / "poet.db-wal"), "poet.db-wal is a hard link"),
    "its index is a hard link": (lambda home, file: os.link(file, home / "poet.db-shm"), "poet.db-shm is a hard link"),
    "its index is a pipe": (lambda home, _: os.mkfifo(home / "poet.db-shm"), "poet.db-shm is no regular file"),
    "it is a hard link itself": (lambda home, _: os.link(home / "poet.db", home / "other"), "poet.db is a hard link"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_planted_beside_a_store_destroys_nothing(kept: Path, name: str) -> None:
    plant, reason = PLANTED[name]
    precious = kept.parent / "precious"
    plant(kept, precious)
    store = Store(kept)
    for use in (lambda: store.get_meta("name"), lambda: store.set_meta("name", "other")):
        with pytest.raises(StoreError, match=reason) as caught:
            use()
    assert precious.read_bytes() == b"precious" * 200
    os.system(str(caught.value).partition("move it away: ")[2])
    store.set_meta("name", "new")
    assert store.get_meta("name") == "new"
    assert precious.read_bytes() == b"precious" * 200


# --------------------------------------------------------------------------- whose folder it is


@only_root
@pytest.mark.parametrize("mark", ["pyproject.toml", ".git", ".poet/poet.db"])
def test_a_project_above_that_somebody_else_put_there_is_none(tmp_path: Path, mark: str) -> None:
    everybodys, own = tmp_path / "everybodys", tmp_path / "everybodys" / "own"
    own.mkdir(parents=True)
    everybodys.chmod(0o1777)
    path = everybodys / mark
    path.parent.mkdir(exist_ok=True)
    path.write_text('[tool.poet_hook]\nassume = {app = "fallback=0"}\n')
    assert settings_of(own, NOBODY).root == everybodys
    for place in (path, everybodys / mark.partition("/")[0]):
        os.chown(place, 1234, 1234)
    settings = settings_of(own, NOBODY)
    assert (settings.root, settings.assume) == (own, ())
    everybodys.chmod(0o755)  # only its owner, this user, can have put it there
    if mark == ".poet/poet.db":
        with pytest.raises(SettingsError, match="belongs to another user"):
            settings_of(own, NOBODY)
        return
    assert settings_of(own, NOBODY).root == everybodys


@only_root
@pytest.mark.parametrize("name", ["pyproject.toml", ".env"])
def test_settings_that_somebody_else_put_there_are_refused(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / name).write_text("[tool.poet_hook]\nstrict = true\n" if name != ".env" else "POET_STRICT=1\n")
    assert settings_of(tmp_path, NOBODY).strict
    os.chown(tmp_path / name, 1234, 1234)
    with pytest.raises(SettingsError, match=f"{name} belongs to another user.*remove it"):
        settings_of(tmp_path, NOBODY)


@only_root
def test_a_home_of_another_user_is_refused(tmp_path: Path) -> None:
    home = tmp_path / ".poet"
    home.mkdir(0o700)
    os.chown(home, 1234, 1234)
    with pytest.raises(SettingsError, match=r"belongs to another user \(uid 1234\): sudo chown -R"):
        settings_of(tmp_path, NOBODY)
    assert settings_of(tmp_path, {**NOBODY, "POET_HOME": ".poet"}).home == home
    os.chown(tmp_path, 1234, 1234)  # as in a container, where root runs what lies in a folder of the host's user
    assert settings_of(tmp_path, NOBODY).home == home


def test_a_home_to_which_everybody_may_write_is_refused(tmp_path: Path) -> None:
    home = tmp_path / ".poet"
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(SettingsError, match="may be written to by every user") as caught:
        settings_of(tmp_path, NOBODY)
    assert settings_of(tmp_path, {**NOBODY, "POET_HOME": ".poet"}).home == home
    os.system(str(caught.value).partition("machine: ")[2].partition(", or")[0])
    assert settings_of(tmp_path, NOBODY).home == home
