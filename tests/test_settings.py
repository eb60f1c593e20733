from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import pytest
from conftest import Python

from poet_hook import api
from poet_hook.errors import PoetWarning, SettingsError
from poet_hook.settings import Settings, load

NOBODY = {"HOME": "/home/nobody"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "x"\n')
    return folder


def seen(root: Path, *, env: str = "", toml: str = "", cwd: str = ".", **environ: str) -> Settings:
    """The settings with this `.env`, this [tool.poet_hook] and this process environment."""
    if env:
        (root / ".env").write_text(env)
    if toml:
        (root / "pyproject.toml").write_text(f"[tool.poet_hook]\n{toml}\n")
    return load(root / cwd, {**NOBODY, **environ})


def test_defaults(root: Path) -> None:
    settings = seen(root)
    assert settings == Settings(
        root=root,
        home=root / ".poet",
        strict=False,
        api_url="local",
        user_dir=Path("/home/nobody/.config/poet_hook"),
        trust="local",
        replay_modules=(),
        assume=(),
        sources=dict.fromkeys(["home", "strict", "api_url", "user_dir", "trust", "replay_modules", "assume"], "default")
        | {"root": "project of the working directory"},
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.strict = True  # type: ignore[misc]


def test_the_environment_wins_then_dotenv_then_pyproject(root: Path) -> None:
    toml, env = 'home = "from_toml"\nstrict = false', "POET_HOME=from_env\nPOET_STRICT=1\n"
    settings = seen(root, toml=toml)
    assert (settings.home, settings.strict) == (root / "from_toml", False)
    assert settings.sources["home"] == f"{root / 'pyproject.toml'}: home"
    settings = seen(root, env=env)
    assert (settings.home, settings.strict) == (root / "from_env", True)
    assert settings.sources["home"] == f"{root / '.env'}: POET_HOME"
    settings = seen(root, POET_HOME="from_process", POET_STRICT="no")
    assert (settings.home, settings.strict) == (root / "from_process", False)
    assert settings.sources["strict"] == "environment variable POET_STRICT"


@pytest.mark.parametrize("mark", ["pyproject.toml", ".git"])
def test_the_project_is_the_nearest_folder_with_a_mark(tmp_path: Path, mark: str) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "a" / mark).touch()
    settings = load(deep, NOBODY)
    assert settings.root == tmp_path / "a"
    assert settings.home == tmp_path / "a" / ".poet"


def test_without_a_mark_the_working_directory_is_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: False)
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    assert load(tmp_path, NOBODY).root == tmp_path


@pytest.mark.parametrize(
    ("here", "script", "found"),
    [
        ("shop", None, "shop"),
        ("shop", "shop/jobs", "shop"),
        ("shop", "shop/part", "shop"),  # a project inside: what the other commands say from here
        ("shop/part", "shop/jobs", "shop/part"),
        ("shop", "other", "other"),
        ("bare", "other", "other"),
        ("shop", "bare", "shop"),
        ("bare", "bare", "bare"),
        ("bare", "alone", "alone"),  # as cron does: from anywhere, the same
        ("kept/sub", None, "kept"),
    ],
)
def test_the_project_of_a_script(tmp_path: Path, here: str, script: str | None, found: str) -> None:
    for project in ("shop", "shop/part", "other"):
        (tmp_path / project).mkdir()
        (tmp_path / project / "pyproject.toml").touch()
    for folder in ("shop/jobs", "bare", "alone", "kept/sub", "kept/.poet"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "kept" / ".poet" / "poet.db").touch()
    settings = load(tmp_path / here, NOBODY, None if script is None else tmp_path / script)
    assert settings.root == tmp_path / found


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("job.py", "job"),
        ("a/job.py", "a.job"),
        ("src/pkg/part.py", "src.pkg.part"),
        ("pkg/__init__.py", "pkg"),
        ("pkg/__main__.py", "pkg.__main__"),
        ("__init__.py", "__init__"),
        ("../job.py", "given"),
        ("a:b/v1.2/job.py", "a_b.v1_2.job"),
        ("bin/deploy-1.2", "bin.deploy-1_2"),
    ],
)
def test_functions_are_kept_under_the_place_of_their_file(root: Path, path: str, name: str) -> None:
    settings = seen(root)
    assert settings.module_of(root / path, "given") == name
    assert settings.module_of(f"{root}/./{path}", "given") == name
    (root.parent / "link").symlink_to(root)
    assert settings.module_of(root.parent / "link" / path, "given") == name


def test_a_name_leads_back_to_a_file_of_the_project_only(root: Path, tmp_path: Path) -> None:
    settings = seen(root)
    for path in "job.py", "a/b/job.py", "pkg/__init__.py":
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
        assert settings.path_of(settings.module_of(root / path, "")) == root / path
    (tmp_path / "outside.py").touch()
    (root / "out.py").symlink_to(tmp_path / "outside.py")
    (tmp_path / "root.py").touch()
    for name in f"{tmp_path}/outside", "out", "", "..outside", "no", "a\0b", "job.":
        assert settings.path_of(name) is None


def test_a_home_that_came_with_a_checkout_is_no_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (root / ".poet").symlink_to(tmp_path / "private")
    with pytest.raises(SettingsError, match="outside the project"):
        seen(root)
    assert seen(root, POET_HOME=str(root / ".poet")).home == root / ".poet"
    (root / ".poet").unlink()
    for name in "journal", "functions", "poet.db":
        link = root / ".poet" / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(tmp_path / "private")
        with pytest.raises(SettingsError, match=f"{link} is a symbolic link"):
            seen(root)
        assert seen(root, POET_HOME=".poet").home == root / ".poet"
        link.unlink()


@pytest.mark.parametrize(
    ("toml", "environ"),
    [
        ('home = "a\\u0000b"', {}),
        ('home = "~nosuchuser/x"', {}),
        ("", {"POET_HOME": "~nosuchuser/x"}),
        ("home = " + "[" * 100_000, {}),
    ],
)
def test_whatever_can_not_be_read_is_one_kind_of_error(root: Path, toml: str, environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        seen(root, toml=toml, **environ)


def test_a_home_that_links_to_itself(root: Path) -> None:
    (root / ".poet").symlink_to(".poet")
    with pytest.raises(SettingsError):
        seen(root)


def test_a_tool_table_that_is_none(root: Path) -> None:
    (root / "pyproject.toml").write_text("tool = 1  # tool.poet_hook\n")
    assert load(root, NOBODY).home == root / ".poet"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may search every folder")
def test_a_folder_that_may_not_be_searched(root: Path) -> None:
    (root / "shut").mkdir()
    (root / "shut").chmod(0)
    assert load(root / "shut", NOBODY).root == root


def test_a_working_directory_that_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SettingsError, match="working directory"):
        load()


def test_a_relative_home_starts_where_it_was_said(root: Path) -> None:
    (root / "sub").mkdir()
    assert seen(root, cwd="sub", POET_HOME="data").home == root / "sub" / "data"
    assert seen(root, cwd="sub", POET_HOME="../../data").home == root.parent / "data"
    assert seen(root, cwd="sub", env="POET_HOME=data").home == root / "data"
    assert seen(root, POET_HOME="~/data").home == Path("~/data").expanduser()


@pytest.mark.parametrize("value", ["/tmp/elsewhere", "../elsewhere", "a/../../elsewhere", "~/elsewhere", "link/data"])
@pytest.mark.parametrize("where", ["env", "toml"])
def test_a_checkout_may_not_say_where_data_lives_outside(root: Path, where: str, value: str) -> None:
    (root / "link").symlink_to("/tmp")
    text = f"POET_HOME={value}" if where == "env" else f'home = "{value}"'
    with pytest.raises(SettingsError, match=r"outside the project.*Set the environment variable POET_HOME") as caught:
        seen(root, env=text if where == "env" else "", toml=text if where == "toml" else "")
    assert value in str(caught.value)


def test_a_project_reached_through_a_link_is_itself(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    (root / "pyproject.toml").write_text('[tool.poet_hook]\nhome = "data"\n')
    assert load(tmp_path / "link", NOBODY).home == root / "data"


@pytest.mark.parametrize(
    "name", ["POET_USER_DIR", "POET_TRUST", "POET_SIGNING_KEY", "OPENAI_API_KEY", "HOME", "XDG_CONFIG_HOME", "PATH"]
)
def test_dotenv_says_nothing_else(root: Path, name: str) -> None:
    before = dict(os.environ)
    settings = seen(root, env=f"{name}=/evil\nPOET_STRICT=1\n")
    assert settings.strict
    assert settings.user_dir == Path("/home/nobody/.config/poet_hook")
    assert dict(os.environ) == before
    assert not any("/evil" in value for row in settings.rows() for value in row)


def test_dotenv_is_not_expanded(root: Path) -> None:
    assert seen(root, env="POET_HOME=$HOME/x${HOME}\n", HOME="/secret").home == root / "$HOME/x${HOME}"


def test_dotenv_as_people_write_it(root: Path) -> None:
    env = "# comment\nexport POET_STRICT='yes' # why\nPOET_HOME=\"da ta\"\nAITOMATIC_API_URL\n\nnot an assignment\n"
    settings = seen(root, env=env)
    assert (settings.strict, settings.home.name, settings.api_url) == (True, "da ta", "local")


def test_a_dotenv_that_can_not_be_read(root: Path) -> None:
    (root / ".env").write_bytes(b"POET_STRICT=\xff\n")
    with pytest.raises(SettingsError, match=r"\.env: can't be read"):
        seen(root)


def test_a_folder_called_dotenv_is_none(root: Path) -> None:
    (root / ".env").mkdir()
    assert seen(root).strict is False


@pytest.mark.parametrize(
    ("word", "value"),
    [("1", True), ("TRUE", True), (" yes ", True), ("on", True), ("0", False), ("False", False), ("", False)],
)
def test_flags(root: Path, word: str, value: bool) -> None:
    assert seen(root, POET_STRICT=word).strict is value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"POET_STRICT": "maybe"}, "environment variable POET_STRICT: 'maybe' is neither true nor false"),
        ({"toml": "strict = 2"}, "pyproject.toml: strict: 2 is neither"),
        ({"env": "POET_STRICT=maybe"}, ".env: POET_STRICT: 'maybe' is neither"),
        ({"POET_HOME": " "}, "environment variable POET_HOME: the home must be a folder's path"),
        ({"toml": "home = 3"}, "pyproject.toml: home: the home must be a folder's path, not 3"),
        ({"POET_USER_DIR": ""}, "environment variable POET_USER_DIR: must be a folder's path"),
        ({"AITOMATIC_API_URL": "https://x"}, "'https://x' can't be used: this version works locally only"),
        ({"toml": 'replay_modules = "numpy"'}, "replay_modules: must be a list of module names"),
        ({"toml": "replay_modules = [1]"}, "replay_modules: must be a list of module names"),
        (
            {"toml": "hom = 1\nstric = 2"},
            "has no setting hom, stric; it takes assume, home, llm, replay_modules, strict",
        ),
        ({"toml": "user_dir = 'x'"}, "has no setting user_dir"),
        ({"toml": "home = "}, "pyproject.toml: not valid TOML"),
    ],
)
def test_values_that_can_not_be_used(root: Path, given: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        seen(root, **given)
    assert message in str(caught.value)


def test_a_pyproject_that_is_no_text(root: Path) -> None:
    (root / "pyproject.toml").write_bytes(b"[tool.poet_hook]\nhome = '\xff'\n")
    with pytest.raises(SettingsError, match="not valid TOML"):
        seen(root)


def test_a_table_that_is_none(root: Path) -> None:
    (root / "pyproject.toml").write_text("tool.poet_hook = 3\n")
    with pytest.raises(SettingsError, match="has no setting 3"):
        seen(root)


def test_modules_for_replay_come_from_pyproject_alone(root: Path) -> None:
    settings = seen(root, toml='replay_modules = ["numpy", "river"]', env="POET_REPLAY_MODULES=x")
    assert settings.replay_modules == ("numpy", "river")


def test_where_the_users_key_lives(root: Path) -> None:
    assert seen(root, POET_USER_DIR="/keys").user_dir == Path("/keys")
    assert seen(root, POET_USER_DIR="~/keys").user_dir == Path("~/keys").expanduser()
    assert seen(root, POET_USER_DIR="keys").user_dir == root / "keys"
    assert seen(root, XDG_CONFIG_HOME="/xdg").user_dir == Path("/xdg/poet_hook")
    assert seen(root, XDG_CONFIG_HOME="").user_dir == Path("/home/nobody/.config/poet_hook")
    assert load(root, {}).user_dir == Path("~/.config/poet_hook").expanduser()


def test_rows_show_value_and_source(root: Path) -> None:
    rows = seen(root, toml='replay_modules = ["a", "b"]', POET_STRICT="1").rows()
    assert ("root", str(root), "project of the working directory") in rows
    assert ("strict", "True", "environment variable POET_STRICT") in rows
    assert ("replay_modules", "a, b", f"{root / 'pyproject.toml'}: replay_modules") in rows
    assert ("home", str(root / ".poet"), "default") in rows


def test_settings_are_read_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.settings()
    assert first.home == project / ".poet"
    assert first.user_dir == Path(os.environ["POET_USER_DIR"])
    monkeypatch.setenv("POET_HOME", "other")
    assert api.settings() is first


def test_wrong_settings_enhance_nothing_and_break_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "pyproject.toml").write_text("[tool.poet_hook]\nstrikt = true\n")
    before = list(sys.meta_path)
    with pytest.warns(PoetWarning, match=r"nothing is enhanced: .*pyproject.toml: .* no setting strikt") as caught:
        api.activate()
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert sys.meta_path == before
    with pytest.raises(SettingsError):
        api.activate(strict=True)
    monkeypatch.setenv("POET_STRICT", "1")
    with pytest.raises(SettingsError):
        api.activate()
    assert sys.meta_path == before


@pytest.mark.parametrize("env", ["", "OTHER=1\n"])
def test_dotenv_is_imported_only_where_there_is_one(project: Path, python: Python, env: str) -> None:
    if env:
        (project / ".env").write_text(env)
    done = python("import sys, poet_hook; poet_hook.activate(); print('dotenv' in sys.modules)")
    assert done.stdout == f"{bool(env)}\n"


def test_a_huge_dotenv_is_not_read(root: Path) -> None:
    with open(root / ".env", "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(SettingsError, match="more than 1,000,000 bytes, and is not read"):
        seen(root)
