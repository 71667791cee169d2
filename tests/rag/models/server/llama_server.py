"""llama.cpp's own server: `python llama_server.py GGUF KEY`; prints its address, then waits.

It ends when its standard input does.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Serve with two places of 2,048 tokens each."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.model_alias = {Path(sys.argv[1]).stem}
    parameters.n_parallel = 2
    parameters.n_ctx = 4096
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = 2
    parameters.ui = False
    parameters.endpoint_slots = True
    parameters.api_keys = [sys.argv[2]]
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)  # noqa: T201
    sys.stdin.read()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
