"""LiteLLM's proxy, to measure beside: installed by pins into a temporary folder, run on a free port, gone afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from resilience_site.embedded_state import free_port

PINS = Path(__file__).with_name("requirements-litellm.txt")
KEY = "sk-litellm"
READY_SECONDS = 240
INSTALL_SECONDS = 600


class Running(NamedTuple):
    """Where it answers, and its process."""

    base_url: str
    pid: int


@contextmanager
def litellm(upstream: str, model: str) -> Iterator[Running | None]:
    """Runs while the block does, with one worker and one model behind; None where it does not install or start (and says so)."""
    folder = Path(tempfile.mkdtemp(prefix="mendgate-litellm-"))
    try:
        program = _installed(folder)
        if program is None:
            yield None
            return
        with _running(program, folder, upstream, model) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _installed(folder: Path) -> Path | None:
    uv = Path(sys.executable).with_name("uv")
    python = folder / "bin/python"
    made = [
        [str(uv), "venv", "--quiet", "--python", sys.executable, str(folder)],
        [str(uv), "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(PINS)],
    ]
    for command in made:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
        if done.returncode:
            print(f"LiteLLM does not install: {done.stderr.strip()[-300:]}")
            return None
    return folder / "bin/litellm"


@contextmanager
def _running(program: Path, folder: Path, upstream: str, model: str) -> Iterator[Running | None]:
    port = free_port()
    config = {
        "model_list": [{"model_name": model, "litellm_params": {"model": f"openai/{model}", "api_base": upstream, "api_key": "sk-far"}}],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
        "general_settings": {"master_key": KEY},
    }
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    command = [str(program), "--config", str(folder / "config.yaml"), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        base_url = f"http://127.0.0.1:{port}"
        yield Running(f"{base_url}/v1", process.pid) if _ready(base_url, process) else None
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(base_url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{base_url}/health/liveliness", timeout=2, trust_env=False).status_code == 200:
                return True
        except httpx.HTTPError:
            time.sleep(0.3)
    print(f"LiteLLM does not start (process: {process.poll()})")
    return False
