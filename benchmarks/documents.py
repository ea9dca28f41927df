"""Schemathesis on both OpenAPI documents: ``python -m benchmarks.documents [--examples 50] [--seed N]``.

Whatever a document allows, and what it does not, is sent to a real gateway; no answer may be a fault of ours. It runs as a program of its
own (its plugin and its warnings are no business of the tests).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from benchmarks.figures import figure
from benchmarks.web_process import web_process
from tests.gateway_process import Gateway

DOCUMENTS = ("/rest/v1/", "/api/v1/openapi.json")
SCHEMA = (Path(__file__).parent / "documents.sql").read_text("utf-8")
APART = ("--exclude-path", "/api/v1/schema/impact")
"""Where there is no place for a scratch database, it says so by a documented 501."""


def held_against(gateway: Gateway, path: str, seed: int, examples: int, phases: str = "examples,coverage,fuzzing") -> tuple[bool, str]:
    """Whether nothing that the document at ``path`` says ended in a 5xx; what Schemathesis printed."""
    key = gateway.make_key()
    told = httpx.get(gateway.base_url + path, headers={"apikey": key}, timeout=300).raise_for_status().json()
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "openapi.json"
        file.write_text(json.dumps(told))
        base = gateway.base_url + told.get("basePath", "")
        command = [
            str(Path(sys.executable).parent / "schemathesis"), "--no-color", "run", str(file), "--url", base,
            "--header", f"apikey: {key}", "--checks", "not_a_server_error", "--phases", phases, "--max-examples", str(examples), *APART,
            "--seed", str(seed), "--mode", "all", "--generation-database", "none", "--continue-on-failure", "--request-timeout", "300",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=place, check=False)
    return done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr}"


def main() -> int:
    """Prints what was found; 1 where an answer was a fault of ours."""
    parser = argparse.ArgumentParser(description="Schemathesis on the OpenAPI documents.")
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faults = 0
    with web_process() as gateway:
        gateway.sql(SCHEMA)
        gateway.manage("capture_schema")
        for path in DOCUMENTS:
            fine, said = held_against(gateway, path, options.seed, options.examples)
            print(f"== {path}\n{said[-4000:]}")
            faults += not fine
    figure("documents with an undocumented 5xx", str(faults), "0", faults == 0)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
