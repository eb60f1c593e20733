"""What came with a checkout, or lies where others can write, makes nothing run, and loses nothing of this user's."""

from __future__ import annotations

import json
import os
import pty
import shutil
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Load, Python, environment

from poet_hook import api
from poet_hook.cli.main import main
from poet_hook.errors import SettingsError, StoreError, VersionError, VersionWarning
from poet_hook.llm.allowed import allow
from poet_hook.llm.endpoint import endpoint, said
from poet_hook.model import Evidence, Plan, Verdict
from poet_hook.settings import load as settings_of
from poet_hook.store.database import Store
from poet_hook.transform.plan import plan_module
from poet_hook.versions import counts
from poet_hook.versions import promote as steps
from poet_hook.versions.chain import Chain
from poet_hook.versions.files import write_version
from poet_hook.versions.pointed import PointerFile
from poet_hook.versions.pointer import Pointer
from poet_hook.versions.trust import examine, rotate, trust
from poet_hook.versions.watch import refresh

Said = pytest.CaptureFixture[str]

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


# --------------------------------------------------------------------------- versions

SOURCE = """\
# poet: optimize_for=accuracy
def is_hot(celsius):
    return celsius > 45.0  # poet: tune 0..100
"""
HOSTILE = "def is_hot(celsius):\n    return __import__('os').system('touch owned') == 0\n"
KEY = "5a" * 32  # in no output, file or log


def plan_now(source: str = SOURCE) -> Plan:
    (target,) = plan_module(source, str(Path("m.py").resolve()), "m", "m").targets
    return target.plan


def chain() -> Chain:
    return Chain(api.settings(), "m:is_hot")


def promoted(*values: float) -> None:
    """Versions with these limits, stored and put in use one after another."""
    Path("m.py").write_text(SOURCE)
    for value in values:
        evidence = Evidence(labelled=20, wins=10.0, losses=0.0, e_value=200.0, before=0.5, after=1.0)
        verdict = Verdict("promote", "proven", 0.05, evidence, ("it is better",))
        made = chain().add(plan_now(), 1, {"celsius_limit": value}, verdict, "")
        steps.promote(chain(), made.number, plan_now())


def limits(load: Load) -> list[int]:
    """The temperatures that are hot, of some."""
    hot = load(None).is_hot
    return [celsius for celsius in (15, 25, 35, 50) if hot(celsius)]


def another_user(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("POET_USER_DIR", str(place))
    api.settings.cache_clear()


def set_trust(monkeypatch: pytest.MonkeyPatch, mode: str, key: str | None = KEY) -> None:
    monkeypatch.setenv("POET_TRUST", mode)
    monkeypatch.setenv("POET_SIGNING_KEY", key or "")
    api.settings.cache_clear()


def test_a_checkout_with_versions_runs_none_until_they_are_trusted(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Said
) -> None:
    promoted(20.0)
    assert limits(load) == [25, 35, 50]
    another_user(monkeypatch, tmp_path / "other")
    with pytest.warns(VersionWarning) as caught:
        assert limits(load) == [50]
    assert len(caught) == 1
    assert "the original runs" in str(caught[0].message)
    assert "python -m poet_hook trust m:is_hot" in str(caught[0].message)
    capsys.readouterr()
    assert main(["trust", "--list"]) == 1
    assert capsys.readouterr().out.count("was not made by this user") == 2  # v1 and v2
    assert main(["trust", "is_hot"]) == 1
    shown = capsys.readouterr().out
    assert "-    return celsius > 45.0  # poet" in shown
    assert "+    return celsius > 20.0  # poet" in shown
    assert "its maker says: proven, accuracy 50.0 % -> 100.0 %" in shown
    assert "it puts v2 in use" in shown
    assert "Nothing was changed; to trust it: python -m poet_hook trust m:is_hot --yes" in shown
    assert chain().numbers() == [1, 2]
    assert main(["trust", "is_hot", "--yes"]) == 0
    assert limits(load) == [25, 35, 50]
    version = chain().read(2)
    assert version.level == "requested"  # somebody asked for it, and nothing was found here
    assert version.verdict is not None
    assert version.verdict.level == "requested"
    assert version.verdict.reasons[0].startswith("trusted on ")
    assert main(["trust", "--list"]) == 0
    assert main(["trust"]) == 0
    assert "nothing to decide" in capsys.readouterr().out


def test_what_was_written_since_the_look_is_not_signed(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    promoted(20.0)
    another_user(monkeypatch, tmp_path / "other")
    seen = examine(chain(), plan_now())
    place = chain().folder / "v2" / "operate.py"
    place.write_text(place.read_text().replace("20.0", "10.0"))
    trust(chain(), seen)
    with pytest.warns(VersionWarning, match=r"operate\.py was edited.*poet_hook trust"):
        assert limits(load) == [50]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"values": {"celsius_limit": 1000.0}}, "can't run: v2 sets 'celsius_limit' to 1000, outside its range"),
        (
            {"source": "def is_hot(celsius):\n    return True\n"},
            "can't run: v2 changes more of m:is_hot than its values",
        ),
        ({"function": "m:other"}, "belongs to m:other v2"),
        ({"values": {"def": HOSTILE}, "source": HOSTILE}, "and can't run: "),
    ],
)
def test_what_may_not_run_is_not_trusted(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Said, changes: dict[str, Any], why: str
) -> None:
    promoted(20.0)
    forged = replace(chain().read(2), **changes)
    shutil.rmtree(chain().folder / "v2")
    assert write_version(chain().folder, forged, "", "", api.settings())
    another_user(monkeypatch, tmp_path / "other")
    assert main(["trust", "m:is_hot", "--yes"]) == 1
    out = capsys.readouterr().out
    assert why in out
    assert "m:is_hot: v1 is in use now" in out
    assert limits(load) == [50]
    with pytest.raises(VersionError):
        steps.promote(chain(), 2, plan_now())


def test_a_store_of_yesterday_is_noticed(load: Load, project: Path, tmp_path: Path, capsys: Said) -> None:
    promoted(20.0)
    shutil.copytree(project / ".poet", tmp_path / "yesterday")
    steps.rollback(chain(), "it was wrong")
    assert limits(load) == [50]
    shutil.rmtree(project / ".poet")
    shutil.copytree(tmp_path / "yesterday", project / ".poet")
    api.store().close()
    with pytest.warns(VersionWarning, match=r"older than the one that was in use.*python -m poet_hook trust m:is_hot"):
        assert limits(load) == [50]
    with pytest.raises(VersionError, match="older than"):
        steps.rollback(chain())
    with pytest.raises(VersionError, match="older than"):
        chain().challenge(2)
    assert main(["trust", "is_hot"]) == 1
    assert "somebody put it back" in capsys.readouterr().out
    assert main(["trust", "is_hot", "--yes"]) == 0
    assert limits(load) == [25, 35, 50]
    assert chain().read(2).level == "proven"  # this user made it, and found what it says
    shutil.copytree(tmp_path / "yesterday", project / ".poet", dirs_exist_ok=True)
    with pytest.warns(VersionWarning, match="older than"):
        assert limits(load) == [50]


def test_a_version_of_yesterday_that_has_the_number_of_the_one_in_use(
    load: Load, project: Path, tmp_path: Path, capsys: Said
) -> None:
    promoted(20.0)
    shutil.copytree(chain().folder / "v2", tmp_path / "yesterday")
    shutil.rmtree(project / ".poet")
    promoted(30.0)
    assert chain().champion_number() == 2
    shutil.copytree(tmp_path / "yesterday", chain().folder / "v2", dirs_exist_ok=True)
    with pytest.warns(
        VersionWarning, match=r"v2 is not the one that was put in use.*python -m poet_hook trust m:is_hot"
    ):
        assert limits(load) == [50]
    assert main(["trust", "is_hot"]) == 1
    assert "is not the one that was put in use" in capsys.readouterr().out
    assert main(["trust", "is_hot", "--yes"]) == 0
    assert limits(load) == [25, 35, 50]


def test_what_is_running_is_not_changed_by_a_store_of_yesterday(load: Load, project: Path, tmp_path: Path) -> None:
    promoted(20.0)
    shutil.copytree(chain().folder, tmp_path / "yesterday")
    promoted(30.0)
    module = load(None)
    shutil.copytree(tmp_path / "yesterday", chain().folder, dirs_exist_ok=True)
    assert refresh(api.settings()) == []
    assert (module.is_hot(25), module.is_hot(35)) == (False, True)


def test_projects_that_are_moved_copied_or_begun_anew_go_on(
    load: Load, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    promoted(20.0, 30.0)
    shutil.copytree(project, tmp_path / "copy")
    promoted(40.0)
    monkeypatch.chdir(tmp_path / "copy")
    api.settings.cache_clear()
    assert chain().champion_number() == 3
    monkeypatch.chdir(project)
    api.settings.cache_clear()
    shutil.rmtree(project / ".poet")
    promoted(20.0)
    assert limits(load) == [25, 35, 50]


def test_a_count_that_was_edited(load: Load) -> None:
    promoted(20.0)
    path = counts.path_of(api.settings())
    path.write_text(path.read_text().replace(":1}", ":0}"))
    with pytest.warns(VersionWarning, match=r"projects/.*was edited.*python -m poet_hook trust m:is_hot"):
        assert limits(load) == [50]
    assert main(["trust", "is_hot", "--yes"]) == 0
    assert limits(load) == [25, 35, 50]


@pytest.mark.parametrize(("answer", "signed"), [("y", True), ("no", False), ("", False)])
def test_in_a_terminal_it_asks(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str, signed: bool
) -> None:
    promoted(20.0)
    another_user(monkeypatch, tmp_path / "other")
    here, there = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "poet_hook", "trust", "is_hot"],
        env=environment(COVERAGE_PROCESS_CONFIG=""), stdin=there, stdout=there, stderr=there,
    ) as process:  # fmt: skip
        os.close(there)
        said = b""
        while b"[y/N] " not in said:
            said += os.read(here, 10_000)
        os.write(here, f"{answer}\n".encode())
        assert process.wait(30) == (0 if signed else 1)
    os.close(here)
    assert b"return celsius > 20.0" in said
    assert examine(chain(), plan_now()).open is not signed


@pytest.mark.parametrize("way", ["rewritten", "unsigned", "of another function", "number", "no ASCII"])
def test_a_pointer_that_was_edited(load: Load, way: str) -> None:
    promoted(20.0, 30.0)
    path = chain().pointed.path
    record = json.loads(path.read_text())
    if way == "rewritten":
        record["champion"] = 2
    elif way == "unsigned":
        del record["signature"]
    elif way == "of another function":
        other = PointerFile(chain().folder, "m:other", api.settings())
        other.write(Pointer(2, (1,), 0.0))
        record = json.loads(path.read_text())
    else:
        record["signature"] = 5 if way == "number" else "é"
    path.write_text(json.dumps(record))
    with pytest.warns(VersionWarning, match="the original runs: .*python -m poet_hook (trust|promote)|Choose again"):
        assert limits(load) == [50]


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def hard_linked(path: Path) -> None:
    os.link(path, path.with_name("elsewhere"))


IN_THE_WAY: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "the function's folder is a link": ("", linked, "is a symbolic link"),
    "a version's folder is a link": ("v2", linked, "is a symbolic link"),
    "the pointer is a link": ("champion.json", linked, "is a symbolic link"),
    "a text is a link": ("v2/operate.py", linked, "is a symbolic link"),
    "a text is a hard link": ("v2/operate.py", hard_linked, "is a hard link"),
    "the pointer is a hard link": ("champion.json", hard_linked, "is a hard link"),
    "all may write a version": ("v2", lambda path: path.chmod(0o777), "every user: chmod -R go-w"),
    "all may write a text": ("v2/operate.py", lambda path: path.chmod(0o666), "every user: chmod -R go-w"),
    "all may write the pointer": ("champion.json", lambda path: path.chmod(0o666), "every user: chmod -R go-w"),
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_versions_are_opened_without_following_anything(load: Load, name: str) -> None:
    place, plant, reason = IN_THE_WAY[name]
    promoted(20.0)
    plant(chain().folder / place if place else chain().folder)
    with pytest.warns(VersionWarning, match=reason) as caught:
        assert limits(load) == [50]
    assert len(caught) == 1


@only_root
@pytest.mark.parametrize("place", ["v2", "v2/version.json", "champion.json"])
def test_what_belongs_to_another_user_is_not_read(load: Load, place: str) -> None:
    promoted(20.0)
    os.chown(chain().folder / place, 1234, 1234)
    with pytest.warns(VersionWarning, match=r"belongs to another user \(uid 1234\)"):
        assert limits(load) == [50]


def test_untrust(load: Load, project: Path, tmp_path: Path, capsys: Said) -> None:
    promoted(20.0, 30.0)
    module = load(None)
    shutil.copy(chain().pointed.path, tmp_path / "kept")
    assert main(["untrust", "is_hot"]) == 0
    assert "v1, your own text, is in use; no longer signed: v2, v3" in capsys.readouterr().out
    assert not module.is_hot(35)
    assert limits(load) == [50]
    with pytest.raises(VersionError, match="was not made by this user"):
        steps.promote(chain(), 2, plan_now())
    shutil.copy(tmp_path / "kept", chain().pointed.path)
    with pytest.warns(VersionWarning, match="older than"):
        assert limits(load) == [50]
    assert main(["trust", "is_hot", "--yes"]) == 0
    assert limits(load) == [35, 50]


# --------------------------------------------------------------------------- keys


def test_another_key(load: Load, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Said) -> None:
    promoted(20.0)
    shutil.copytree(project, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    api.settings.cache_clear()
    promoted(30.0)  # now this one is known too
    monkeypatch.chdir(project)
    api.settings.cache_clear()
    key = api.settings().user_dir / "signing.key"
    before = key.read_bytes()
    text = chain().folder / "v1" / "version.json"
    text.write_text(text.read_text().replace("signature", "sign"))
    assert main(["trust", "--rotate"]) == 0
    said = capsys.readouterr().out
    assert "The key is new: 4 versions of 2 projects are signed with it" in said
    assert "not signed: " in said
    assert key.read_bytes() != before
    assert before.hex() not in said
    assert key.read_bytes().hex() not in said
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert {path.name for path in key.parent.iterdir()} == {"signing.key", "projects"}
    assert limits(load) == [25, 35, 50]
    monkeypatch.chdir(tmp_path / "copy")
    api.settings.cache_clear()
    assert chain().champion_number() == 3
    assert chain().read(3).values == {"celsius_limit": 30.0}
    key.write_bytes(before)
    with pytest.raises(VersionError, match="was not written by this user"):
        chain().champion_number()


def test_an_interrupted_rotation_goes_on(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    promoted(20.0)
    with monkeypatch.context() as patched:
        patched.setattr("poet_hook.versions.trust.sign_again", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rotate(api.settings())
    assert limits(load) == [25, 35, 50]
    promoted(30.0)
    key = (api.settings().user_dir / "signing.key").read_bytes()
    assert rotate(api.settings()).signed == 2
    assert (api.settings().user_dir / "signing.key").read_bytes() == key
    assert not (api.settings().user_dir / "signing.key.before").exists()
    assert limits(load) == [35, 50]


def test_keys_that_others_can_read_or_have_put_there_sign_nothing(
    load: Load, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(20.0)
    key = api.settings().user_dir / "signing.key"
    key.chmod(0o640)
    with pytest.warns(VersionWarning, match="chmod 600"):
        assert limits(load) == [50]
    key.chmod(0o600)
    assert limits(load) == [25, 35, 50]
    # a container whose home is the project: the key would come with the checkout, as the versions do
    shutil.copytree(key.parent, project / ".config" / "poet_hook")
    monkeypatch.delenv("POET_USER_DIR")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(project))
    api.settings.cache_clear()
    with pytest.warns(VersionWarning, match="lies in the project .* set the environment variable POET_USER_DIR"):
        assert limits(load) == [50]


def test_a_checkout_does_not_allow_its_own_endpoint(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".env").write_text("POET_MODEL=theirs\nOPENAI_BASE_URL=http://127.0.0.1:9/v1\n")
    place = project / ".config" / "poet_hook"
    monkeypatch.setenv("POET_USER_DIR", str(place))
    settings = api.settings()
    allow(settings, said(settings))
    assert endpoint(settings) is not None
    monkeypatch.delenv("POET_USER_DIR")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(project))
    api.settings.cache_clear()
    assert api.settings().user_dir == place
    with pytest.raises(SettingsError, match="may have come with a checkout"):
        endpoint(api.settings())


# --------------------------------------------------------------------------- elsewhere


def test_originals_only(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    promoted(20.0)
    running = load(None)
    set_trust(monkeypatch, "original")
    assert limits(load) == [50]
    assert running.is_hot(25)
    assert refresh(api.settings()) == [("m:is_hot", 1)]
    assert not running.is_hot(25)
    assert api.champion("m:is_hot") == 1
    with pytest.raises(VersionError, match="nothing is learned where POET_TRUST=original"):
        api.learn("m:is_hot")
    monkeypatch.delenv("POET_TRUST")
    api.settings.cache_clear()
    assert limits(load) == [25, 35, 50]


def test_signed_in_one_place_and_verified_in_another(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Said
) -> None:
    promoted(20.0, 30.0)
    set_trust(monkeypatch, "verify")
    with pytest.warns(VersionWarning, match="was not written by this user"):
        assert limits(load) == [50]  # signed with this user's own key only
    set_trust(monkeypatch, "local")
    assert limits(load) == [35, 50]
    assert main(["trust", "--yes"]) == 0
    assert "bears another signature of this user's" in capsys.readouterr().out
    assert chain().read(3).level == "proven"
    another_user(monkeypatch, tmp_path / "elsewhere")
    set_trust(monkeypatch, "verify")
    assert limits(load) == [35, 50]
    steps.rollback(chain())  # what is signed may be chosen from
    assert limits(load) == [25, 35, 50]
    with pytest.raises(VersionError, match="nothing is learned where POET_TRUST=verify"):
        api.learn("m:is_hot")
    with pytest.raises(VersionError, match="no version is made where POET_TRUST=verify"):
        promoted(5.0)
    assert not (tmp_path / "elsewhere").exists()
    for key, why in (("ab" * 32, "was not written by this user"), (None, "needs the key"), ("x", "64 hexadecimal")):
        set_trust(monkeypatch, "verify", key)
        with pytest.warns(VersionWarning, match=why):
            assert limits(load) == [50]


def test_an_edit_is_carried_over_where_versions_are_made(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    promoted(20.0)
    set_trust(monkeypatch, "local")
    assert main(["trust", "--yes"]) == 0
    set_trust(monkeypatch, "verify")
    Path("m.py").write_text(SOURCE.replace("    return", "    # a remark\n    return"))
    with pytest.warns(VersionWarning, match="no version is made where POET_TRUST=verify"):
        assert limits(load) == [50]
    assert chain().numbers() == [1, 2]


def test_no_key_is_ever_shown(project: Path, tmp_path: Path, python: Python) -> None:
    promoted(20.0)
    own = (tmp_path / "user" / "signing.key").read_bytes().hex()
    for key in KEY, KEY[:-1], KEY + "5a":
        done = python(
            """
            import logging
            from poet_hook import api
            from poet_hook.cli.main import main

            logging.basicConfig(level=logging.DEBUG)
            for words in "config", "status", "trust --list", "versions is_hot", "trust --yes", "trust --rotate":
                print(words, main(words.split()))
            print(api.settings())
            """,
            POET_SIGNING_KEY=key,
            COVERAGE_PROCESS_CONFIG="",
        )
        assert ("trust --yes 0" in done.stdout) is (key == KEY)
        assert "POET_SIGNING_KEY" in done.stderr
        assert KEY[:-1] not in done.stdout + done.stderr
        assert own not in done.stdout + done.stderr
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(KEY[:-1].encode() in data for data in written)


def test_a_hostile_checkout_runs_nothing_sends_nothing_and_sees_nothing(project: Path, tmp_path: Path) -> None:
    """Versions, a pointer, a text that runs nothing, a key, settings: all of it from somebody else."""
    promoted(20.0)
    for name in "operate.py", "enhanced.py", "original.py":
        (chain().folder / "v2" / name).write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    shutil.copytree(tmp_path / "user", project / "user")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        (project / ".env").write_text(
            f"OPENAI_BASE_URL={url}\nOPENAI_API_KEY=theirs\nPOET_MODEL=m\nPOET_USER_DIR={project / 'user'}\n"
            f"POET_TRUST=local\nPOET_SIGNING_KEY={KEY}\nHTTPS_PROXY={url}\nHTTP_PROXY={url}\nPYTHONPATH=/evil\n"
        )
        (project / "app.py").write_text("import os\nfrom m import is_hot\nprint(is_hot(35), sorted(os.environ))\n")
        env = environment(POET_USER_DIR=str(tmp_path / "mine"), OPENAI_API_KEY="canary-key", COVERAGE_PROCESS_CONFIG="")
        for words in (
            "run app.py",
            "status",
            "learn",
            "versions is_hot",
            "trust --yes",
            "config",
            "explain is_hot",
            "doctor",
        ):
            done = subprocess.run(
                [sys.executable, "-m", "poet_hook", *words.split()], env=env, capture_output=True, text=True, timeout=60
            )
            assert "canary-key" not in done.stdout + done.stderr
            if words == "run app.py":
                assert done.stdout.startswith("False ")
                assert "HTTPS_PROXY" not in done.stdout
                assert done.stderr.count("VersionWarning") == 1
                assert "python -m poet_hook trust m:is_hot" in done.stderr
        with pytest.raises(TimeoutError):
            server.accept()
    assert not (tmp_path / "owned").exists()
    for place in (project / ".poet", tmp_path / "mine"):
        assert not any(b"canary-key" in path.read_bytes() for path in place.rglob("*") if path.is_file())
