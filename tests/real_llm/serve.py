"""Serve a model file on loopback, by xllamacpp: `python serve.py MODEL.gguf PORT`; ends with its standard input."""

from __future__ import annotations

import sys

import xllamacpp


def main() -> None:
    """Serve until nobody holds the other end."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.port = sys.argv[1], int(sys.argv[2])
    parameters.model_alias = {"small"}
    parameters.n_ctx, parameters.n_parallel, parameters.use_jinja = 8192, 1, True
    parameters.hostnames = ["127.0.0.1"]
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1  # more are slower on a small machine
    server = xllamacpp.Server(parameters)
    sys.stdin.read()
    del server


if __name__ == "__main__":
    main()
