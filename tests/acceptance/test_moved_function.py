"""An edge function that the codemod moved, on Deno against the real gateway: nothing changes before the secret is set, all does after."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from io import StringIO
from pathlib import Path

from django.core.management import call_command

from tests.acceptance import deno_cases
from tests.gateway_process import Gateway

pytestmark = deno_cases.needs_deno

FUNCTION = """
import { createClient } from "npm:@supabase/supabase-js@2";

const db = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!);
const { error, status } = await db.from("people").insert({ name: "Ann", email: "ann@example.org" });
const answer = await fetch("http://127.0.0.1:1/api.openai.com/v1/chat/completions", {
  method: "POST",
  headers: { authorization: "Bearer the provider's own key", "content-type": "application/json" },
  body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "hi" }] }),
});
const said = (await answer.json()).error;
console.log(JSON.stringify({ error: error?.message ?? null, status, asked: answer.status, code: said.code, message: said.message }));
"""


def run(root: Path, **secrets: str) -> dict[str, object]:
    """What the function prints."""
    environment = {**os.environ, "NO_COLOR": "1", "SUPABASE_URL": "http://127.0.0.1:1", **secrets}
    words = [str(deno_cases.BINARY), "run", "--node-modules-dir=manual", "--no-lock", "-A", "f/index.ts"]
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_secret_moves_the_function_and_taking_it_away_moves_it_back(gateway: Gateway, tmp_path: Path) -> None:
    gateway.sql("CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, email text)")
    gateway.sql("GRANT ALL ON people TO service_role")
    gateway.manage("capture_schema")
    gateway.sql("ALTER TABLE people RENAME COLUMN email TO email_address")
    gateway.manage("capture_schema")
    key = gateway.manage("create_api_key", "--role", "service_role").strip()
    root = tmp_path / "supabase/functions"
    (root / "f").mkdir(parents=True)
    (root / "f/index.ts").write_text(FUNCTION.replace("http://127.0.0.1:1/api", "https://api"))
    call_command("scan_functions", str(root), "--patch", str(tmp_path / "p"), skip_checks=True, stdout=StringIO())
    git = shutil.which("git") or "git"
    subprocess.run([git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([git, "apply", "p"], cwd=tmp_path, check=True)
    moved = (root / "f/index.ts").read_text()
    (root / "f/index.ts").write_text(moved.replace("https://api", "http://127.0.0.1:1/api"))  # no test calls a provider
    (root / "node_modules").symlink_to(deno_cases.BINARY.parents[1])
    (root / "package.json").write_text('{"dependencies": {"@supabase/supabase-js": "*"}}')
    before = run(root, SUPABASE_SERVICE_ROLE_KEY=key)
    assert (before["status"], before["asked"], before["code"]) == (0, 503, "ai_unavailable")
    assert "answered" not in str(before["message"]), "nobody was there"
    after = run(root, SUPABASE_SERVICE_ROLE_KEY=key, MENDGATE_URL=gateway.base_url, MENDGATE_KEY=key, MENDGATE_AI_KEY=key)
    assert (after["error"], after["status"]) == (None, 201)
    assert [row["email_address"] for row in gateway.sql("SELECT email_address FROM people")] == ["ann@example.org"]
    assert (after["code"], after["message"]) == ("ai_unavailable", "openai answered 503"), "the gateway has no provider here"
