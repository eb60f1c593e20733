from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
import sysconfig
import textwrap
import threading
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PACKAGE, environment
from test_cli import ENDINGS, JUDGED, PROBE

from poet_hook import activation, api
from poet_hook.cli.main import main
from poet_hook.hook import first
from poet_hook.hook.loader import PoetLoader
from poet_hook.hook.main import MainHook
from poet_hook.runtime.record import process_of
from poet_hook.store import codec

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NAME = "zz_poet_hook.pth"
HERE = {"PYTHONPATH": os.pathsep.join([str(PACKAGE), sysconfig.get_path("purelib")])}


def new_environment(folder: Path, *places: object) -> Path:
    """A virtual environment that finds poet_hook, and what that needs, in `places`; its site-packages."""
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "places.pth").write_text("".join(f"{place}\n" for place in places))
    return packages


def run_python(
    executable: str | Path, *words: str, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in environment().items() if name not in ("PYTHONPATH", "POET_HOOK")}
    return subprocess.run(
        [str(executable), *words], input=stdin, capture_output=True, text=True, timeout=60, env={**kept, **environ}
    )


@pytest.fixture(scope="session")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of an environment in which `install-startup` was done."""
    folder = tmp_path_factory.mktemp("startup") / "venv"
    packages = new_environment(folder, PACKAGE, sysconfig.get_path("purelib"))
    done = run_python(folder / "bin" / "python", "-m", "poet_hook", "install-startup")
    assert done.returncode == 0, done.stderr
    return packages


@pytest.fixture
def run(project: Path, site_packages: Path) -> Run:
    """Run that environment's Python in the project, with POET_HOOK=1 unless something else is said."""

    def run(*words: str, check: bool = True, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        executable = site_packages.parents[2] / "bin" / "python"
        done = run_python(executable, *words, stdin=stdin, **{"POET_HOOK": "1", **environ})
        if check:
            assert (done.returncode, done.stderr) == (0, "")
        return done

    return run


def write(folder: Path, **modules: str) -> None:
    for name, source in modules.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")


def recorded(function: str = "job:f") -> tuple[list[float], int]:
    """The first arguments of the executions, and from how many processes they came."""
    executions = list(api.store().executions(function))
    assert len({execution.id for execution in executions}) == len(executions)
    values = [codec.decode(e.arguments)[0] for e in executions if e.arguments is not None]
    return sorted(values), len({process_of(execution.id) for execution in executions})


JOB = """
    # poet: optimize_for=accuracy
    def f(x: float) -> bool:
        return x > 2.0
"""


# --------------------------------------------------------------------------- children of every kind

CHILDREN = {
    "a script": (
        {"app": "import subprocess, sys; subprocess.run([sys.executable, 'work.py'], check=True)",
         "work": "import job; job.f(1)"},
        [1], 1,
    ),
    "-m": (
        {"app": "import subprocess, sys; subprocess.run([sys.executable, '-m', 'pkg.work'], check=True)",
         "pkg__work": "import job; job.f(1)"},
        [1], 1,
    ),
    "-c": (
        {"app": "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import job; job.f(1)'], check=True)"},
        [1], 1,
    ),
    "prefork, imported before": (
        {"app": """
            import os, warnings, job
            warnings.simplefilter("ignore")  # from Python 3.13 on, every fork beside a thread of anybody's is warned of
            job.f(0)
            children = []
            for number in 1, 2:
                child = os.fork()
                if child == 0:
                    job.f(number)
                    os._exit(0)
                children.append(child)
            job.f(3)
            assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
         """},
        [0, 1, 2, 3], 3,
    ),
    "prefork, imported in the worker": (
        {"app": """
            import os
            children = []
            for number in 1, 2:
                child = os.fork()
                if child == 0:
                    import job
                    job.f(number)
                    os._exit(0)
                children.append(child)
            assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
         """},
        [1, 2], 2,
    ),
    **{
        how: (
            {"app": f"""
                import multiprocessing, job
                if __name__ == "__main__":
                    context = multiprocessing.get_context({how!r})
                    children = [context.Process(target=job.f, args=(x,)) for x in (1, 2)]
                    for child in children:
                        child.start()
                    for child in children:
                        child.join()
                    job.f(3)
                    assert [child.exitcode for child in children] == [0, 0]
             """},
            [1, 2, 3], 3,
        )
        for how in ("spawn", "forkserver", "fork")
    },
    **{
        f"a pool, {how}": (
            {"app": f"""
                import concurrent.futures, multiprocessing, job
                if __name__ == "__main__":
                    context = multiprocessing.get_context({how!r})
                    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                        assert list(pool.map(job.f, [1, 2, 3])) == [False, False, True]
             """},
            [1, 2, 3], 1,
        )
        for how in ("spawn", "forkserver", "fork")
    },
}  # fmt: skip


@pytest.mark.parametrize("child", CHILDREN)
def test_children_are_enhanced(project: Path, run: Run, child: str) -> None:
    files, values, processes = CHILDREN[child]
    write(project, job=JOB, **files)
    run("app.py")
    assert recorded() == (values, processes)


def test_a_child_of_a_child(project: Path, run: Run) -> None:
    write(
        project,
        job=JOB,
        app="""
            import multiprocessing, job
            def parent(x):
                child = multiprocessing.get_context("spawn").Process(target=job.f, args=(x,))
                child.start()
                child.join()
                job.f(2)
            if __name__ == "__main__":
                child = multiprocessing.get_context("spawn").Process(target=parent, args=(1,))
                child.start()
                child.join()
        """,
    )
    run("app.py")
    assert recorded() == ([1, 2], 2)


def test_a_server_and_its_workers(project: Path, run: Run) -> None:
    """It forks, and each worker loads the program's module by its name, as gunicorn does."""
    write(
        project,
        job=JOB,
        serve="""
            import importlib, os, sys
            def main(name):
                sys.path.insert(0, os.getcwd())
                for number in 1, 2:
                    if os.fork() == 0:
                        importlib.import_module(name).f(number)
                        os._exit(0)
                for _ in range(2):
                    assert os.wait()[1] == 0
            main(sys.argv[1])
        """,
    )
    run("serve.py", "job")
    assert recorded() == ([1, 2], 2)


def test_children_use_what_was_learned(project: Path, run: Run) -> None:
    write(
        project,
        job="# poet: optimize_for=accuracy, after=1000\ndef is_hot(celsius: float) -> bool:\n    return celsius > 45.0\n",
        teach="""
            import poet_hook, job
            for celsius in (12, 50, 31, 44, 18, 38, 25, 33, 47, 41, 29, 36, 9, 40, 32, 22, 39, 34, 43, 27):
                result = poet_hook.call(job.is_hot, float(celsius))
                poet_hook.feedback(result, result.value == (celsius > 30))
            print(poet_hook.learn(job.is_hot).promoted)
        """,
        app="""
            import concurrent.futures, multiprocessing, job
            if __name__ == "__main__":
                context = multiprocessing.get_context("spawn")
                with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                    print(*pool.map(job.is_hot, [35.0]))
        """,
    )
    assert run("teach.py").stdout == "True\n"
    assert run("app.py").stdout == "True\n"
    assert run("app.py", POET_HOOK="0").stdout == "False\n"


def test_threads_that_are_the_first_to_import(project: Path, run: Run) -> None:
    write(project, **{f"job{n}": JOB for n in range(20)})
    code = """
        import importlib, sys, threading
        sys.setswitchinterval(1e-6)
        gate, enhanced = threading.Barrier(20), []
        def work(n):
            gate.wait()
            enhanced.append(hasattr(importlib.import_module(f"job{n}").f, "poet"))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(enhanced.count(True))
    """
    for _ in range(3):
        assert run("-c", textwrap.dedent(code)).stdout == "20\n"


SENDS = """
    import job, marshal, pickle
    code = job.f.__code__
    slots = {n: const for n, const in enumerate(code.co_consts) if type(const).__name__ == "Slot"}
    rest = code.replace(co_consts=tuple(None if n in slots else const for n, const in enumerate(code.co_consts)))
    with open("sent", "wb") as file:
        pickle.dump((marshal.dumps(rest), slots), file)
"""
GETS = """
    import marshal, pickle, types
    with open("sent", "rb") as file:
        rest, slots = pickle.load(file)
    code = marshal.loads(rest)
    consts = tuple(slots.get(n, const) for n, const in enumerate(code.co_consts))
    print([types.FunctionType(code.replace(co_consts=consts), {})(x) for x in (1.0, 3.0)])
"""


def test_a_function_that_is_sent_by_value_records(project: Path, run: Run) -> None:
    """As joblib, Dask and Ray send those of a script: no module is imported that could have activated anything."""
    write(project, job=JOB)
    run("-c", textwrap.dedent(SENDS))
    for environ in {}, {"AITOMATIC_API_URL": "nowhere"}, {"AITOMATIC_API_URL": "nowhere", "POET_STRICT": "1"}:
        done = run("-c", textwrap.dedent(GETS), check=False, **environ)
        assert (done.returncode, done.stdout) == (0, "[False, True]\n"), done.stderr
        assert done.stderr.count("nothing is enhanced: ") == bool(environ)
    assert recorded() == ([1, 3], 1)


# --------------------------------------------------------------------------- the main script itself


def same(run: Run, *words: str) -> subprocess.CompletedProcess[str]:
    """Run with POET_HOOK and without: what comes out is the same."""
    expected, got = run(*words, check=False, POET_HOOK=""), run(*words, check=False)
    assert (got.stdout, got.stderr, got.returncode) == (expected.stdout, expected.stderr, expected.returncode)
    return got


@pytest.mark.parametrize(
    "words",
    [
        ("probe.py", "-m", "--help", "--", "a b"),
        ("./probe.py",),
        ("sub/../probe.py", ""),
        ("-P", "-O", "link"),
        ("-m", "probe"),
        ("sub", "-x"),
    ],
)
def test_a_script_sees_what_python_shows_it(project: Path, run: Run, words: tuple[str, ...]) -> None:
    write(project, probe=PROBE, sub__tool=PROBE)
    (project / "sub" / "__main__.py").write_text(PROBE)
    (project / "link").symlink_to(Path("sub", "tool.py"))
    done = same(run, *words)
    assert (done.returncode, done.stderr) == (0, "")
    name = {"link": "sub.tool", "sub": "sub.__main__"}.get(
        next((w for w in words if w in ("link", "sub")), ""), "probe"
    )
    assert recorded(f"{name}:judged") == ([1, 3.5], 1)


@pytest.mark.parametrize("name", ENDINGS)
def test_a_script_ends_as_with_python(project: Path, run: Run, name: str) -> None:
    body, code = ENDINGS[name]
    write(project, app=JUDGED + body + "\n")
    assert same(run, "app.py").returncode == code


MAIN = """
    import multiprocessing, sys
    seen = [sorted(globals()), __name__, __file__, getattr(__spec__, "name", None), __package__, __cached__, sys.argv, sys.path]

    # poet: optimize_for=accuracy
    def f(x: float) -> bool:
        return x > 2.0

    def work(x, depth):
        f(x)
        print(seen, f.__module__, sys.modules["__main__"].f is f, flush=True)
        if depth:
            start(x + 10, depth - 1)

    def start(x, depth):
        child = multiprocessing.get_context({how!r}).Process(target=work, args=(x, depth))
        child.start()
        child.join()
        assert child.exitcode == 0

    if __name__ == "__main__":
        f(0)
        start(1, 1)
"""


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("fork", ("app.py", "a")),
        ("forkserver", ("app.py", "a")),
        ("spawn", ("app.py", "a")),
        ("spawn", ("-m", "app", "a")),
        ("spawn", ("-m", "poet_hook", "run", "app.py", "a")),
    ],
)
def test_the_script_that_children_run_once_more_is_enhanced(
    project: Path, run: Run, how: str, words: tuple[str, ...]
) -> None:
    write(project, app=MAIN.format(how=how))
    if "run" in words:
        done, plain = run(*words), run("app.py", "a", POET_HOOK="")
        assert done.stdout == plain.stdout
    else:
        done = same(run, *words)
        assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 2
    assert recorded("app:f") == ([0, 1, 11], 3)


def test_a_pool_of_the_scripts_own_function(project: Path, run: Run) -> None:
    write(
        project,
        app=JOB
        + """
    import concurrent.futures, multiprocessing
    if __name__ == "__main__":
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            assert list(pool.map(f, [1, 2, 3])) == [False, False, True]
        f(0)
    """,
    )
    run("app.py")
    assert recorded("app:f") == ([0, 1, 2, 3], 2)


def test_what_a_child_runs_besides_its_main_script_is_not_that(project: Path, run: Run) -> None:
    """`runpy.run_path` on another file while the main script is imported, and while a process is unpickled."""
    write(
        project,
        job=JOB,
        other=JOB,
        late="import runpy\nlater = runpy.run_path('other.py')\nlater['f'](5)\ndef work(): pass\n",
        app="""
            import multiprocessing, runpy, sys
            early = runpy.run_path("other.py")
            assert early["f"](4), early["__name__"] == "<run_path>"
            import job
            job.f(1)
            if __name__ == "__main__":
                import late
                child = multiprocessing.get_context("spawn").Process(target=late.work)
                child.start()
                child.join()
                assert child.exitcode == 0
        """,
    )
    run("app.py")
    assert recorded() == ([1, 1], 2)
    assert recorded("other:f") == ([], 0)


def test_an_error_in_the_script_of_the_parent_is_its_own(project: Path, run: Run) -> None:
    write(
        project,
        app=JUDGED + "import multiprocessing\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.get_context('spawn').Process(target=judged, args=(1.0,)).start()\n"
        "else:\n    judged(0.0)\n",
    )
    done = run("app.py", check=False)
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: float division by zero"
    assert f'File "{project}/app.py", line 3, in judged' in done.stderr


def test_scripts_that_python_must_run_itself(project: Path, run: Run) -> None:
    write(project, app=textwrap.dedent(JOB) + "print(f(3.0))\n")
    source = (project / "app.py").read_text()
    py_compile.compile("app.py", "app.pyc")
    for words in (("app.pyc",), ("-",), ("-c", source), ("-i", "app.py")):
        done = run(*words, check=False, stdin=source if words == ("-",) else "")
        assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=(source,))
    writer.start()
    assert run("pipe").stdout == "True\n"
    writer.join()
    assert recorded("app:f") == ([], 0)


def test_mistakes_in_the_script_are_said_once(project: Path, run: Run) -> None:
    write(project, app="# poet: retires=1\ndef f(x: float) -> float:\n    return x\nprint(f(1.0))\n")
    done = run("app.py", check=False)
    assert (done.returncode, done.stdout, done.stderr.count("PH201")) == (0, "1.0\n", 1)
    done = run("app.py", check=False, POET_STRICT="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("PH201") == 1
    assert "poet_hook/" not in done.stderr
    done = run("app.py", check=False, AITOMATIC_API_URL="nowhere")
    assert (done.returncode, done.stdout, done.stderr.count("nothing is enhanced")) == (0, "1.0\n", 1)
    done = run("app.py", check=False, AITOMATIC_API_URL="nowhere", POET_STRICT="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "SettingsError: environment variable AITOMATIC_API_URL" in done.stderr
    done = run("app.py", check=False, POET_HOOK="perhaps")
    assert (done.returncode, done.stdout) == (0, "1.0\n")


# --------------------------------------------------------------------------- where they record


@pytest.mark.parametrize("how", ["spawn", "forkserver"])
@pytest.mark.parametrize("start", [["{0}/app.py"], ["{0}/work.py"]])
def test_children_belong_to_the_project_of_the_script(
    project: Path, run: Run, tmp_path: Path, how: str, start: list[str]
) -> None:
    other = tmp_path / "other"
    write(other, job=JOB, app=CHILDREN[how][0]["app"], work="import subprocess, sys, os\n"
          "subprocess.run([sys.executable, os.path.join(os.path.dirname(__file__), 'app.py')], check=True)\n")  # fmt: skip
    (other / "pyproject.toml").touch()
    run(*(word.format(other) for word in start))
    assert not (project / ".poet").exists()
    os.chdir(other)
    assert recorded() == ([1, 2, 3], 3)


def test_children_of_a_package_without_a_project(project: Path, run: Run) -> None:
    (project / "pyproject.toml").unlink()
    write(project, job=JOB, pkg__app=CHILDREN["spawn"][0]["app"])
    run("-m", "pkg.app")
    assert not (project / "pkg" / ".poet").exists()
    assert recorded() == ([1, 2, 3], 3)


# --------------------------------------------------------------------------- beside the other ways


def test_run_activates_once(project: Path, run: Run) -> None:
    write(project, job=JOB, app="import sys, job; job.f(1); print(sum('poet_hook' in type(f).__module__ for f in sys.meta_path))")  # fmt: skip
    assert run("-m", "poet_hook", "run", "app.py").stdout == "1\n"
    assert recorded() == ([1], 1)


@pytest.mark.parametrize("start", ["import poet_hook.auto", "import poet_hook\npoet_hook.activate()"])
def test_a_script_that_also_activates_it_itself(project: Path, run: Run, start: str) -> None:
    write(project, job=JOB, app=f"{start}\n{JUDGED}import job\njudged(1.0), job.f(2)")
    run("app.py")
    assert (recorded("app:judged"), recorded()) == (([1], 1), ([2], 1))


def test_an_activation_of_the_programs_own_counts(project: Path, run: Run) -> None:
    write(project, job=JOB)
    run("-c", "import poet_hook; poet_hook.activate(roots=['elsewhere']); import job; job.f(1)")
    run("-c", "import poet_hook; poet_hook.deactivate(); import job; job.f(1)")
    assert recorded() == ([], 0)
    code = """
        import sys, poet_hook
        with poet_hook.activated(roots=["elsewhere"]):
            import plain
        import job
        plain.f(1), job.f(2)
    """
    write(project, plain=JOB)
    done = run("-c", textwrap.dedent(code), check=False)
    assert "imported before poet_hook was activated, and therefore not enhanced: plain." in done.stderr
    assert recorded() == ([2], 1)
    assert recorded("plain:f") == ([], 0)


def test_the_command_line_itself_is_not_enhanced(project: Path, run: Run) -> None:
    write(project, loss=JOB, job="# poet: optimize_for=loss:f\ndef g(x: float) -> float:\n    return x\n")
    write(project, app="import poet_hook, job\npoet_hook.feedback(poet_hook.call(job.g, 1.0), {'expected': 2.0})\n")
    run("app.py")
    before = recorded("loss:f")
    run("-m", "poet_hook", "learn", "job:g", check=False)
    assert recorded("loss:f") == before


# --------------------------------------------------------------------------- what it costs, and what is off

PRINTS = "import sys; print(sorted(name for name in sys.modules if name.startswith('poet_hook')))"


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        ([], {"POET_HOOK": ""}),
        (["-E"], {}),
        (["-I"], {}),
        (["-S"], {}),
    ],
)
def test_off_is_off(project: Path, run: Run, flags: list[str], environ: dict[str, str]) -> None:
    assert run(*flags, "-c", PRINTS, **environ).stdout == "[]\n"


def test_a_word_that_says_no(project: Path, run: Run) -> None:
    write(project, job=JOB)
    run("-c", "import job; job.f(1)", POET_HOOK="off")
    assert recorded() == ([], 0)
    run("-c", "import job; job.f(1)", POET_HOOK="Yes")
    assert recorded() == ([1], 1)


def test_without_a_pragma_next_to_nothing_is_imported(project: Path, run: Run) -> None:
    write(project, plain="def f(x): return x")
    done = run("-c", f"import plain, json; {PRINTS}")
    assert (
        done.stdout
        == "['poet_hook', 'poet_hook.hook', 'poet_hook.hook.first', 'poet_hook.hook.main', 'poet_hook.runtime', 'poet_hook.runtime.handed', 'poet_hook.startup']\n"
    )


def test_installed_packages_wake_nothing(project: Path, run: Run) -> None:
    write(project / "site-packages", pkg="# poet:\ndef f(x: float) -> float: return x")
    done = run("-c", f"import sys; sys.path.append('site-packages'); import pkg; {PRINTS}")
    assert "poet_hook.activation" not in done.stdout


# --------------------------------------------------------------------------- what goes wrong


def test_a_word_that_is_no_answer_is_one_line(project: Path, run: Run) -> None:
    write(project, job=JOB)
    done = run("-c", "import job; print(job.f(3))", POET_HOOK="perhaps", check=False)
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert done.stderr == (
        "poet_hook: nothing is enhanced: environment variable POET_HOOK: 'perhaps' is neither true nor false; "
        "it takes 1 or 0\n"
    )


def test_wrong_settings_are_one_warning(project: Path, run: Run) -> None:
    write(project, job=JOB, more=JOB)
    done = run("-c", "import job, more; print(job.f(3))", AITOMATIC_API_URL="nowhere", check=False)
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert done.stderr.count("nothing is enhanced: ") == 1
    code = "for name in 'job', 'more':\n try: __import__(name)\n except ValueError as error: print(error)"
    done = run("-c", code, AITOMATIC_API_URL="nowhere", POET_STRICT="1")
    assert done.stdout.count("'nowhere' can't be used") == 2


def test_a_failure_of_ours_leaves_the_program(project: Path, run: Run) -> None:
    write(project, job=JOB, more=JOB)
    code = "import sys; sys.modules['poet_hook.activation'] = None; import job, more; print(job.f(3), more.f(1))"
    done = run("-c", code, check=False)
    assert (done.returncode, done.stdout) == (0, "True False\n")
    assert done.stderr == (
        "poet_hook: nothing is enhanced: import of poet_hook.activation halted; None in sys.modules\n"
    )


@pytest.mark.parametrize("text", ["import job\nprint(job.f(3.0))", JUDGED + "print(judged(1.0) > 0)"])
def test_without_what_poet_hook_needs_the_program_runs(
    project: Path, tmp_path: Path, site_packages: Path, text: str
) -> None:
    packages = new_environment(tmp_path / "venv", PACKAGE)
    (packages / NAME).write_text((site_packages / NAME).read_text())
    for absent in "", "poet_hook.errors", "poet_hook.hook.script", "poet_hook.hook.finder":
        (packages / "zzz.pth").write_text(f"import sys; sys.modules[{absent!r}] = None\n")
        write(project, job=JOB, app=text)
        done = run_python(tmp_path / "venv" / "bin" / "python", "app.py", POET_HOOK="1")
        assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
        assert done.stderr.count("enhanced") == 1


def test_without_poet_hook_it_is_silent_and_with_a_broken_one_one_line(tmp_path: Path, site_packages: Path) -> None:
    packages = new_environment(tmp_path / "venv")
    executable = tmp_path / "venv" / "bin" / "python"
    (packages / NAME).write_text((site_packages / NAME).read_text())
    done = run_python(executable, "-c", "print(1)", POET_HOOK="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    write(packages, poet_hook__startup="1 = 2")
    done = run_python(executable, "-c", "print(1)", POET_HOOK="1")
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert set(done.stderr.splitlines()) == {
        "poet_hook: cannot assign to literal here. Maybe you meant '==' instead of '='? (startup.py, line 1)"
    }


# --------------------------------------------------------------------------- installing it


def test_install_and_uninstall(tmp_path: Path, project: Path) -> None:
    packages = new_environment(tmp_path / "venv", PACKAGE, sysconfig.get_path("purelib"))
    executable, path = tmp_path / "venv" / "bin" / "python", packages / NAME

    def poet(*words: str, **environ: str) -> list[str]:
        done = run_python(executable, "-m", "poet_hook", *words, **environ)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def row(**environ: str) -> list[str]:
        (found,) = (s for s in json.loads("".join(poet("config", "--json", **environ)))["settings"] if s["name"] == "startup")  # fmt: skip
        return [found["value"], found["source"]]

    assert row() == ["not installed", "no install-startup in this environment"]
    assert poet("uninstall-startup") == [f"{path}: is not there"]
    told = "With POET_HOOK=1 in its environment, a program and its children are enhanced."
    assert poet("install-startup") == [f"{path}: written", told]
    text = path.read_text()
    assert text.startswith("import ")
    assert text.count("\n") == 1
    assert row() == ["off", "default"]
    assert row(POET_HOOK="1") == ["on", "environment variable POET_HOOK"]
    assert row(POET_HOOK="0") == ["off", "environment variable POET_HOOK"]
    assert poet("install-startup") == [f"{path}: is there already", told]
    path.write_text("import sys  # of an earlier version\n")
    assert poet("install-startup") == [f"{path}: written", told]
    assert path.read_text() == text
    assert poet("uninstall-startup") == [f"{path}: removed"]
    assert sorted(file.name for file in packages.iterdir()) == ["places.pth"]


def test_config_says_that_the_word_is_wrong(project: Path, run: Run) -> None:
    done = run("-m", "poet_hook", "config", POET_HOOK="perhaps", check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("'perhaps' is neither true nor false; it takes 1 or 0 [PH-E60]\n")


@pytest.mark.skipif(Path(sys.base_prefix, "conda-meta").exists(), reason="conda's own is an environment too")
def test_a_python_in_no_environment_is_left_alone() -> None:
    base = os.path.realpath(sys.executable)
    path = run_python(base, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    done = run_python(base, "-m", "poet_hook", "install-startup", **HERE)
    assert done.returncode == 1
    assert "is in no virtual environment" in done.stderr
    assert "install-startup --system" in done.stderr
    assert not Path(path, NAME).exists()


def test_an_environment_of_conda_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "prefix", "base_prefix":
        monkeypatch.setattr(sys, name, str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    main(["install-startup"])
    assert "is in no virtual environment" in capsys.readouterr().err
    (tmp_path / "conda-meta").mkdir()
    main(["install-startup"])
    assert capsys.readouterr().out.startswith(f"{tmp_path / NAME}: written\n")
    assert (tmp_path / NAME).is_file()


def test_what_can_not_be_written_says_what_to_do(tmp_path: Path) -> None:
    packages = new_environment(tmp_path / "venv", PACKAGE, sysconfig.get_path("purelib"))
    executable = tmp_path / "venv" / "bin" / "python"
    (packages / NAME / "in the way").mkdir(parents=True)
    for command in "install-startup", "uninstall-startup":
        done = run_python(executable, "-m", "poet_hook", command)
        assert done.returncode == 1
        assert done.stderr.startswith(f"poet_hook: {packages / NAME}: ")
        assert "Do it as the owner of that environment" in done.stderr
        assert "Traceback" not in done.stderr
    assert "not installed" in run_python(executable, "-m", "poet_hook", "config").stdout
    assert sorted(file.name for file in packages.iterdir()) == ["places.pth", NAME]


def test_a_poet_hook_that_python_does_not_find_by_itself_is_said(tmp_path: Path) -> None:
    packages = new_environment(tmp_path / "venv", sysconfig.get_path("purelib") + "-not")
    done = run_python(
        tmp_path / "venv" / "bin" / "python", "-c",
        f"import sys; sys.path[:0] = {HERE['PYTHONPATH'].split(os.pathsep)!r}\n"
        "from poet_hook.cli.main import main; sys.exit(main(['install-startup']))",
    )  # fmt: skip
    assert done.returncode == 1
    assert "finds no poet_hook when it starts" in done.stderr
    assert (packages / NAME).is_file()


# --------------------------------------------------------------------------- in this process


def test_a_finder_that_is_replaced_while_it_is_asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by another thread: what stands in its place is asked, and nothing that stands behind is left out."""
    write(project, job=JOB)

    class Another:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "job":
                change()

    waiting = first.Waiting(activation.activate)
    for change, enhanced in (api.activate, True), (api.deactivate, False):  # noqa: B007
        behind = [finder for finder in sys.meta_path if not isinstance(finder, first.First)]
        monkeypatch.setattr(sys, "meta_path", [waiting, Another(), *behind])
        spec = waiting.find_spec("job")
        assert spec is not None
        assert (type(spec.loader) is PoetLoader) == enhanced
        spec = waiting.find_spec("job")
        assert spec is not None
        assert (type(spec.loader) is PoetLoader) == enhanced
        api.deactivate()


def test_other_paths_are_no_main_script(project: Path, run: Run) -> None:
    """Also where the working directory has gone, and a relative path leads nowhere."""
    code = """
        import os, pkgutil, sys
        print([pkgutil.get_importer(path) for path in ("job.py", "nowhere", "", "\\udc80")])
        os.mkdir("gone"), os.chdir("gone"), os.rmdir(os.getcwd())
        print([pkgutil.get_importer(path) for path in ("job.py", "here/job", "x")])
    """
    write(project, job=JOB, app=code)
    for words in ("app.py",), ("-m", "app"), ("-c", textwrap.dedent(code)):
        assert same(run, *words).returncode == 0
        assert run(*words).stdout.endswith("[None, None, None]\n")
    (hook,) = [MainHook(lambda _: None)]
    for path in "job.py", "nowhere", "", "\0", b"job.py", None:
        with pytest.raises(ImportError):
            hook(path)  # type: ignore[arg-type]


def test_waiting_ends_with_an_activation(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = first.Waiting(activation.activate)
    monkeypatch.setattr(sys, "meta_path", [waiting, *sys.meta_path])
    with api.activated():
        assert first.stands() is not waiting
    assert first.stands() is waiting
    api.activate()
    assert waiting not in sys.meta_path
    api.deactivate()
    assert first.stands() is None


# --------------------------------------------------------------------------- what is assumed


def test_what_a_project_assumes_wakes_it(project: Path, run: Run) -> None:
    """Code without a pragma of its own, imported and run as a script; of another project it says nothing."""
    write(project, legacy__code="def f(x: int): return x\n", other="x = 1\n")
    write(project, tool="def f(x: int): return x\nprint(f('7') + 1)\n")
    imports = (
        "-c",
        "import other, sys; from legacy.code import f; print(f('7'), 'poet_hook.activation' in sys.modules)",
    )
    assert run(*imports).stdout == "7 False\n"
    assert "TypeError" in run("tool.py", check=False).stderr
    table = '[project]\nname = "x"\n[tool.poet_hook.assume]\n"legacy.code:f" = "ensure=\'result == 7\'"\ntool = "coerce=lax"\n'
    (project / "pyproject.toml").write_text(table)
    assert run(*imports).stdout == "7 True\n"
    assert run("tool.py").stdout == "8\n"
    (project / "pyproject.toml").write_text('[project]\nname = "assume"\ndependencies = ["poet_hook"]\n')
    assert run(*imports).stdout == "7 True\n"  # which is no more than a look at the settings
    assert "TypeError" in run("tool.py", check=False).stderr


@pytest.mark.parametrize("name", ["tool", "tool:f"])
def test_what_the_environment_assumes_of_a_script(project: Path, run: Run, name: str) -> None:
    write(project, tool="def f(x: int): return x\nprint(f('7') + 1)\n")
    assert run("tool.py", POET_ASSUME=f"{name}: coerce=lax").stdout == "8\n"
    assert "TypeError" in run("tool.py", check=False, POET_ASSUME="tools: coerce=lax").stderr


def test_the_programs_of_an_environment_are_no_part_of_the_project_around_it(run: Run, site_packages: Path) -> None:
    folder = site_packages.parents[2]
    around = folder.parent
    (around / "pyproject.toml").write_text('[tool.poet_hook.assume]\nlegacy = "coerce=lax"\n')
    for place in (folder / "bin", around):
        (place / "serve").write_text("import sys\nprint('poet_hook.activation' in sys.modules)\n")
    try:
        assert run(str(folder / "bin" / "serve")).stdout == "False\n"
        assert run(str(around / "serve")).stdout == "True\n"
    finally:
        (around / "pyproject.toml").unlink()
