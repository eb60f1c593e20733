"""One frozen `Settings`, and where each of its values came from.

Precedence: the process environment, then `.env`, then `[tool.poet_hook]` in pyproject.toml, then the
default. `.env` and pyproject.toml come with a checkout and are not trusted: they are read into private
mappings (never `os.environ`), only our names are taken from them, and they can't point outside the project.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast, get_args

from poet_hook.errors import SettingsError
from poet_hook.owner import home_objection, is_heeded

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
# name -> (environment variable, key in [tool.poet_hook], may .env set it?)
Names = Mapping[str, tuple[str | None, str | None, bool]]
# name -> (value, where it was said, whether that is a place which does not come with a checkout)
Found = dict[str, tuple[Any, str, bool]]
_NAMES: Names = {
    "home": ("POET_HOME", "home", True),
    "strict": ("POET_STRICT", "strict", True),
    "api_url": ("AITOMATIC_API_URL", None, True),
    "user_dir": ("POET_USER_DIR", None, False),
    "trust": ("POET_TRUST", None, False),
    "replay_modules": (None, "replay_modules", False),
    "assume": ("POET_ASSUME", "assume", False),
}
_LARGEST = 1_000_000  # bytes of .env
_FURTHER = {"llm"}  # tables of which others make sense
Trust = Literal["local", "verify", "original"]
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@dataclass(frozen=True, slots=True)
class Assumption:
    """One entry of `assume`: the options in `text` hold for what it names, as if a pragma stood there.

    `module` is a module or a package with all that is in it; `within` is "", or a class or function of the module.
    `root` is "" where that may be any module; a file of the project says nothing of others than the project's own.
    """

    module: str
    within: str
    text: str
    said_in: str
    root: str = ""

    @property
    def anywhere(self) -> bool:
        """Whether it may speak of an installed package."""
        return not self.root

    @property
    def target(self) -> str:
        """What it names."""
        return f"{self.module}:{self.within}" if self.within else self.module

    def reaches(self, module: str, path: str) -> bool:
        """Whether it speaks of the module of this name, or of something in it."""
        named = module == self.module or (not self.within and module.startswith(f"{self.module}."))
        return named and (self.anywhere or (_is_below(path, self.root) and not in_site_packages(path)))


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process.

    `root` is the project: the nearest folder at or above the working directory that has a pyproject.toml or a
    .git (or a store of ours); that of the main script where the script belongs to another project, or the
    working directory to none; else the folder of the main script; else the working directory. `home` is where
    executions and versions are kept. `user_dir` holds the signing key. `trust` says which versions may run: those that
    this user signed (local), those that the key in the environment did (verify), or none (original). `replay_modules`
    are further modules that replay may import. `assume` are the options for code that can't be edited. `sources` says
    of each value where it came from.
    """

    root: Path
    home: Path
    strict: bool
    api_url: str
    user_dir: Path
    trust: Trust
    replay_modules: tuple[str, ...]
    assume: tuple[Assumption, ...]
    sources: Mapping[str, str]

    def rows(self) -> list[tuple[str, str, str]]:
        """Each setting as (name, value, where it came from)."""
        values = {name: getattr(self, name) for name in _NAMES}
        values["assume"] = "; ".join(f"{entry.target}: {entry.text}" for entry in self.assume)
        shown = {n: ", ".join(v) if isinstance(v, tuple) else str(v) for n, v in values.items()}
        return [(name, shown.get(name, str(self.root)), self.sources[name]) for name in ("root", *_NAMES)]

    def own_file(self, name: str) -> Path:
        """A file in `user_dir`; raises `SettingsError` where that lies in the project, and may have come with it."""
        path = self.user_dir / name
        said = self.sources["user_dir"].startswith("environment variable")
        if not said and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.root)):
            raise SettingsError(
                f"{path} lies in the project {self.root}, and may have come with a checkout: set the environment "
                "variable POET_USER_DIR to a folder outside"
            )
        return path

    @property
    def trusts_home(self) -> bool:
        """Whether this user said where the home is, so that what lies there is no part of a checkout."""
        return self.sources["home"].startswith("environment variable")

    def module_of(self, path: str | Path, otherwise: str) -> str:
        """The name under which a file's functions are kept: its dotted place in the project.

        The name of an import or a script may belong to several files of one project. `otherwise` is the name of
        a file that lies elsewhere.
        """
        for full in (os.path.realpath(path), os.path.abspath(path)):
            if Path(full).is_relative_to(self.root):
                *folders, name = Path(full).relative_to(self.root).parts
                parts = [*folders, name.removesuffix(".py")]
                parts = parts[: len(parts) - (parts[1:] != [] and parts[-1] == "__init__")]
                return ".".join(part.replace(".", "_").replace(":", "_") for part in parts)
        return otherwise

    def path_of(self, module: str) -> Path | None:
        """The file of the project whose functions are kept under this name, where there is one."""
        parts = module.split(".")
        if not all(parts) or any(set(part) & {"/", "\\", "\0"} for part in parts):
            return None
        place = self.root.joinpath(*parts)
        paths = (path.resolve() for path in (place.with_name(f"{parts[-1]}.py"), place / "__init__.py"))
        return next((path for path in paths if path.is_file() and path.is_relative_to(self.root)), None)


def load(
    cwd: Path | None = None, environ: Mapping[str, str] | None = None, script_folder: Path | None = None
) -> Settings:
    """The settings as seen from `cwd`, for a main script in `script_folder`, if there is one.

    Raises `SettingsError` for a value that can't be used.
    """
    try:
        here = Path.cwd() if cwd is None else cwd.resolve()
    except OSError as error:
        raise SettingsError(
            f"the working directory can't be told: {error.strerror}; change to one that exists"
        ) from error
    try:
        return _load(here, os.environ if environ is None else environ, script_folder)
    except SettingsError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # links in a circle, no such user, a NUL in a path
        raise SettingsError(f"the settings can't be read: {error}") from error


def _load(here: Path, env: Mapping[str, str], script_folder: Path | None) -> Settings:
    root, found_by = _root(here, script_folder)
    project = _pyproject(root)
    found = _found(_NAMES, root, env, project)
    sources = {name: found[name][1] if name in found else "default" for name in _NAMES} | {"root": found_by}
    assume = _assumed(found.get("assume"), root)
    if "assume" in project and "POET_ASSUME" in env:  # the one does not put the other out
        source = f"{root / 'pyproject.toml'}: assume"
        assume += _assumed((project["assume"], source, False), root)
        sources["assume"] += f", {source}"
    return Settings(
        root=root,
        home=_home(found.get("home"), here, root),
        strict=_flag(found.get("strict")),
        api_url=_api_url(found.get("api_url")),
        user_dir=_user_dir(found.get("user_dir"), here, env),
        trust=_trust(found.get("trust")),
        replay_modules=_modules(found.get("replay_modules")),
        assume=assume,
        sources=sources,
    )


def _found(names: Names, root: Path, env: Mapping[str, str], project: Mapping[str, Any]) -> Found:
    in_file = dotenv(root)
    found: Found = {}
    for name, (variable, key, in_dotenv) in names.items():
        if variable and variable in env:
            found[name] = (env[variable], f"environment variable {variable}", True)
        elif variable and in_dotenv and variable in in_file:
            found[name] = (in_file[variable], f"{root / '.env'}: {variable}", False)
        elif key and key in project:
            found[name] = (project[key], f"{root / 'pyproject.toml'}: {key}", False)
    return found


def further(table: str, names: Names, root: Path, env: Mapping[str, str]) -> Found:
    """What is said of `names` in the same places, where pyproject.toml has them in [tool.poet_hook.`table`].

    Raises `SettingsError` where that has something else in it.
    """
    said = _pyproject(root).get(table, {})
    known = {key for _, key, _ in names.values() if key}
    if not isinstance(said, dict) or set(said) - known:
        wrong = ", ".join(sorted(set(said) - known)) if isinstance(said, dict) else repr(said)
        where = f"{root / 'pyproject.toml'}: [tool.poet_hook.{table}]"
        raise SettingsError(f"{where} has no setting {wrong}; it takes {', '.join(sorted(known))}")
    return _found(names, root, env, said)


def asked_for_strict() -> bool:
    """Whether the process environment asks for it, where the settings as a whole can't be read."""
    return os.environ.get("POET_STRICT", "").strip().lower() in _TRUE


def asked_for_hook() -> bool:
    """Whether POET_HOOK asks for children to be enhanced; raises `SettingsError` for a word that is no answer."""
    return _flag((os.environ.get("POET_HOOK", ""), "environment variable POET_HOOK", True))


def script_folder() -> Path | None:
    """The folder of the user's main script; None without one, and for an installed program."""
    main = main_module()
    path = getattr(main, "__file__", None)
    if path is None or getattr(main, "__spec__", None) is not None:
        return None  # what is run with -m is found by the working directory
    full = Path(os.path.realpath(path))
    installed = [sys.prefix, sys.base_prefix, sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))]
    return None if not full.is_file() or any(full.is_relative_to(place) for place in installed) else full.parent


def main_module() -> ModuleType | None:
    """The main module; in a process that multiprocessing spawned, that of its parent, which runs there once more."""
    main = sys.modules.get("__main__")
    return main if hasattr(main, "__file__") else sys.modules.get("__mp_main__", main)


def _root(here: Path, script: Path | None) -> tuple[Path, str]:
    own, other = _marked(here), _marked(script) if script else None
    if own and (not script or not other or script.is_relative_to(own) or here.is_relative_to(other)):
        return own, "project of the working directory"
    if other:
        return other, "project of the main script"
    if script is not None:
        return script, "folder of the main script (no project above it)"
    return here, "working directory (no project above it)"


def _marked(start: Path) -> Path | None:
    for folder in (start, *start.parents):
        if any(is_heeded(folder, name, start) for name in _marks(folder)):
            return folder
    return None


def _marks(folder: Path) -> Iterator[str]:
    # unlike Path's own, these are False in a folder that may not be searched
    if os.path.isfile(folder / "pyproject.toml"):
        yield "pyproject.toml"
    if os.path.exists(folder / ".git"):
        yield ".git"
    if os.path.isfile(folder / ".poet" / "poet.db"):
        yield ".poet"


def _heeded(path: Path) -> Path:
    """The same path, of a file that is there; raises `SettingsError` where somebody else may have put it there."""
    if not is_heeded(path.parent, path.name, path.parent):
        raise SettingsError(
            f"{path} belongs to another user, in a folder to which everybody may write: remove it, or work in a folder "
            "of your own"
        )
    return path


def _pyproject(root: Path) -> Mapping[str, Any]:
    path = root / "pyproject.toml"
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    if b"tool.poet_hook" not in data:  # tomllib costs milliseconds at each start
        return {}
    _heeded(path)
    import tomllib

    try:
        tool = tomllib.loads(data.decode()).get("tool")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    table = tool.get("poet_hook", {}) if isinstance(tool, dict) else {}
    known = {key for _, key, _ in _NAMES.values() if key} | _FURTHER
    if not isinstance(table, dict) or set(table) - known:
        wrong = ", ".join(sorted(set(table) - known)) if isinstance(table, dict) else repr(table)
        raise SettingsError(f"{path}: [tool.poet_hook] has no setting {wrong}; it takes {', '.join(sorted(known))}")
    return table


def dotenv(root: Path) -> Mapping[str, str]:
    """All that `.env` of a project says, which is not trusted. Raises `SettingsError` where it can't be read."""
    path = root / ".env"
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        if path.stat().st_size > _LARGEST:  # it may be anybody's, and is read before anything runs
            raise SettingsError(f"{path}: it has more than {_LARGEST:,} bytes, and is not read; make it smaller")
        values = dotenv_values(_heeded(path), interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: can't be read: {error}") from error
    return {name: value for name, value in values.items() if value is not None}


def _home(found: tuple[Any, str, bool] | None, here: Path, root: Path) -> Path:
    value, source, trusted = found or (".poet", "default", False)
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{source}: the home must be a folder's path, not {value!r}")
    base = here if trusted else root
    path = Path(os.path.abspath(base / Path(value).expanduser()))
    if trusted:
        return path
    if os.path.islink(path) and not os.path.exists(path):
        raise SettingsError(
            f"{path} is a symbolic link that leads nowhere, and may have come with a checkout: remove it"
        )
    if not path.resolve().is_relative_to(root.resolve()):
        raise SettingsError(
            f"{source}: {value!r} lies outside the project {root}; a file that comes with a checkout may not say "
            "where your data lives. Set the environment variable POET_HOME instead."
        )
    if objection := home_objection(path, root):
        raise SettingsError(f"{path} {objection}")
    for link in (path / name for name in ("journal", "functions", "poet.db")):
        if os.path.islink(link):  # False, unlike Path's own, in a folder that may not be searched
            raise SettingsError(f"{link} is a symbolic link, which may have come with a checkout: remove it")
    return path


def _flag(found: tuple[Any, str, bool] | None) -> bool:
    if found is None:
        return False
    value, source, _ = found
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise SettingsError(f"{source}: {value!r} is neither true nor false; it takes 1 or 0")
    return word in _TRUE


def _api_url(found: tuple[Any, str, bool] | None) -> str:
    if found is None:
        return "local"
    value, source, _ = found
    if value != "local":
        raise SettingsError(f"{source}: {value!r} can't be used: this version works locally only; set it to local")
    return "local"


def _trust(found: tuple[Any, str, bool] | None) -> Trust:
    if found is None:
        return "local"
    if found[0].strip() in get_args(Trust):
        return cast("Trust", found[0].strip())
    raise SettingsError(f"{found[1]}: {found[0]!r} is none of {', '.join(get_args(Trust))}")


def _modules(found: tuple[Any, str, bool] | None) -> tuple[str, ...]:
    if found is None:
        return ()
    value, source, _ = found
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{source}: must be a list of module names, not {value!r}")
    return tuple(value)


def _assumed(found: tuple[Any, str, bool] | None, root: Path) -> tuple[Assumption, ...]:
    if found is None:
        return ()
    value, source, trusted = found
    entries = _entries(value, source) if trusted else _table(value, source)
    only = "" if trusted else str(root)
    return tuple(_assumption(target.strip(), text.strip(), source, only) for target, text in entries)


def _entries(text: str, source: str) -> Iterator[tuple[str, str]]:
    """`package: options; module:function: options`, where quotes may hide a `;`."""
    start, quote, escaped = 0, "", False
    for at, character in enumerate(f"{text};"):
        if quote:
            quote = "" if character == quote and not escaped else quote
            escaped = character == "\\" and not escaped
        elif character in "\"'":
            quote = character
        elif character in ";\n":
            entry, start = text[start:at], at + 1
            target, colon, options = entry.partition(": ")
            if colon:
                yield target, options
            elif entry.strip():
                raise SettingsError(f"{source}: {entry.strip()!r} must be a name, ': ' and options: pkg.mod: retries=2")
    if quote:
        raise SettingsError(f"{source}: the quoted text after {text[start:].strip()[:40]!r} is not closed")


def _table(value: Any, source: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        raise SettingsError(f"{source}: must be a table of names and options, not {value!r}")
    for name, item in value.items():
        if isinstance(item, dict):  # TOML reads pkg.mod = "..." as a table in a table
            yield from _table(item, source, f"{prefix}{name}.")
        elif isinstance(item, str) and "\n" not in item:
            yield prefix + name, item
        else:
            raise SettingsError(f"{source}: what is assumed of {prefix}{name} must be text with options, not {item!r}")


def _assumption(target: str, text: str, source: str, root: str) -> Assumption:
    module, colon, within = target.partition(":")
    parts = [*module.split("."), *(part for part in within.split(".") if part != "<locals>")]
    if not all(part.isidentifier() and not iskeyword(part) for part in (parts if colon else module.split("."))):
        takes = "it takes a package, a module, or module:function, as in shop.prices:total"
        raise SettingsError(f"{source}: {target!r} names nothing; {takes}")
    return Assumption(module, within, text, source, root)


def _is_below(path: str, root: str) -> bool:
    return any(place.startswith(os.path.join(root, "")) for place in (os.path.abspath(path), os.path.realpath(path)))


def in_site_packages(path: str) -> bool:
    """Whether a file is part of an installed package."""
    return any(part in path for part in _INSTALLED)


def _user_dir(found: tuple[Any, str, bool] | None, here: Path, env: Mapping[str, str]) -> Path:
    if found is not None:
        value, source, _ = found
        if not value.strip():
            raise SettingsError(f"{source}: must be a folder's path, not {value!r}")
        return Path(os.path.abspath(here / Path(value).expanduser()))
    if sys.platform == "win32":  # pragma: no cover
        return Path(env.get("APPDATA", Path.home())) / "poet_hook"
    base = env.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path(env.get("HOME", "~")).expanduser() / ".config") / "poet_hook"
