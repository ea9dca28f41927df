"""The patch that moves functions: what it changes, what it leaves and why, and that it holds under git and Deno."""

from __future__ import annotations

import os
import shutil
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from healing.scan.folder import Folder
from healing.scan.patch import patch
from healing.scan.scanning import scan

GIT = shutil.which("git") or "git"
ROOT = Path(__file__).resolve().parents[2]
DENO = ROOT / "tests" / "acceptance" / "deno" / "node_modules" / ".bin" / "deno"
SUPABASE = "import { createClient } from 'npm:@supabase/supabase-js@2'"
CHAT = "https://ai.gateway.lovable.dev/v1/chat/completions"

LOVABLE = '{ breaker: "lovable-ai", fallback: aiUnavailable }'


def folder(tmp_path: Path, **files: str) -> Path:
    """A repository with functions: ``name`` is ``name/index.ts``, with ``__`` for a slash and ``_ts`` at the end for itself."""
    root = tmp_path / "supabase" / "functions"
    for name, text in files.items():
        path = root / (name.removesuffix("_ts").replace("__", "/") + ".ts" if name.endswith("_ts") else f"{name}/index.ts")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    subprocess.run([GIT, "init", "-q", str(tmp_path)], check=True)
    return root


def patched(root: Path) -> str:
    """Writes the patch by the command, applies it with git, and says what the command said."""
    out = StringIO()
    target = root.parents[1] / "move.patch"
    call_command("scan_functions", str(root), "--patch", str(target), skip_checks=True, stdout=out)
    if target.stat().st_size:
        subprocess.run([GIT, "apply", "--whitespace=nowarn", str(target)], cwd=root.parents[1], check=True)
    return out.getvalue()


def one(tmp_path: Path, text: str) -> str:
    """What becomes of one function."""
    root = folder(tmp_path, f=text)
    patched(root)
    return (root / "f/index.ts").read_bytes().decode()


def test_a_client_is_made_for_the_gateways_address_and_nothing_else_changes(tmp_path: Path) -> None:
    before = f"{SUPABASE}\n\nconst url = Deno.env.get('SUPABASE_URL')  ?? ''\nconst db = createClient( url ,key)\n"
    after = before.replace("'\n\n", "'\nimport { gatewayUrl } from '../_shared/mendgate.ts'\n\n").replace("( url ,", "( gatewayUrl(url) ,")
    assert one(tmp_path, before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'await fetch("{CHAT}", {{ a: 1 }});', f'await aiFetch("{CHAT}", {{ a: 1 }}, {LOVABLE});'),
        (f'fetch("{CHAT}")', f'aiFetch("{CHAT}", undefined, {LOVABLE})'),
        (
            'await fetch(\n  "https://api.anthropic.com/v1", // theirs\n  init,\n)',
            'await aiFetch(\n  "https://api.anthropic.com/v1", // theirs\n  init, { breaker: "anthropic", fallback: aiUnavailable },\n)',
        ),
    ],
)  # fmt: skip
def test_a_fetch_of_an_ai_service_goes_behind_a_breaker(tmp_path: Path, before: str, after: str) -> None:
    assert one(tmp_path, before + "\n") == 'import { aiFetch, aiUnavailable } from "../_shared/mendgate_ai.ts";\n' + after + "\n"


def test_an_sdk_gets_our_fetch(tmp_path: Path) -> None:
    text = one(tmp_path, 'import OpenAI from "npm:openai@6";\nconst ai = new OpenAI({ apiKey: key });\n')
    assert 'new OpenAI(aiOptions({ apiKey: key }, "openai"));' in text
    assert 'import { aiOptions } from "../_shared/mendgate_ai.ts";' in text


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_marks_and_odd_characters_stay_as_they_are(tmp_path: Path, newline: str) -> None:
    before = newline.join(["\ufeff" + SUPABASE, "// caf\u00e9 🙂\u2028 \x0c end", "createClient(Deno.env.get('SUPABASE_URL')!, k)  "])
    after = one(tmp_path, before)
    added = f"{newline}import {{ gatewayUrl }} from '../_shared/mendgate.ts'"
    assert after.replace(added, "").replace("gatewayUrl(Deno.env.get('SUPABASE_URL')!)", "Deno.env.get('SUPABASE_URL')!") == before


def test_a_name_that_is_taken_is_not_taken_twice(tmp_path: Path) -> None:
    text = one(tmp_path, f"{SUPABASE}\nconst gatewayUrl = 1\ncreateClient(Deno.env.get('SUPABASE_URL')!, k)\n")
    assert "import { gatewayUrl as mendgateGatewayUrl } from" in text
    assert "createClient(mendgateGatewayUrl(Deno.env.get('SUPABASE_URL')!), k)" in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{SUPABASE}\ncreateClient(Deno.env.get('CRM_URL')!, k)", "its address is the setting CRM_URL, which may be another project"),
        (f"{SUPABASE}\ncreateClient('https://x.supabase.co')", "its address is written in the source and may be another project"),
        (f"{SUPABASE}\nexport const make = (url: string) => createClient(url, k)", "its address cannot be seen in this file"),
        (f"const fetch = traced\nfetch('{CHAT}', {{}})", "`fetch` is a name of its own here"),
        (f"fetch('{CHAT}', ...rest)", "its arguments are spread"),
        (f"fetchWithRetry('{CHAT}', {{}})", "it goes through `fetchWithRetry`: move the fetch in there"),
        ("import A from 'npm:@anthropic-ai/sdk'\nnew A({ apiKey })", "the SDK of anthropic does not speak OpenAI's dialect"),
        ("import OpenAI from 'npm:openai'\nnew OpenAI({ ...options })", "its options are not spelled out here"),
        ("import OpenAI from 'npm:openai'\nnew OpenAI({ fetch: traced })", "it has a fetch of its own"),
        (f"{SUPABASE}\ncreateClient(Deno.env.get('SUPABASE_URL')!, k)\nconst = ;", "the file is not understood as TypeScript"),
    ],
)
def test_what_cannot_be_proven_stays_and_the_reason_is_said(tmp_path: Path, text: str, why: str) -> None:
    root = folder(tmp_path, f=text)
    said = patched(root)
    assert "Nothing is left to move." in said and "left as it is: f/index.ts:" in said and why in said
    assert (root / "f/index.ts").read_text() == text


def test_a_second_run_changes_nothing_and_the_scanner_calls_it_moved(tmp_path: Path) -> None:
    text = (
        f"{SUPABASE}\nconst db = createClient(Deno.env.get('SUPABASE_URL')!, k)\nawait db.from('t').select()\nawait fetch('{CHAT}', {{}})\n"
    )
    root = folder(
        tmp_path,
        f=text,
        g="import { ask } from '../_shared/ask.ts'\nask()\n",
        _shared__ask_ts=f"export const ask = () => fetch('{CHAT}')\n",
    )
    assert [str(f.state) for f in scan(root, None).functions] == ["direct", "direct"]
    assert "3 calls moved in 2 files" in patched(root)
    again = patch(Folder(root))
    assert (again.files, again.moved, again.skipped) == ({}, 0, ())
    assert [str(f.state) for f in scan(root, None).functions] == ["moved", "moved"]


def test_helpers_that_are_there_are_never_written_again(tmp_path: Path) -> None:
    root = folder(
        tmp_path,
        f=f"{SUPABASE}\ncreateClient(Deno.env.get('SUPABASE_URL')!, k)\n",
        _shared__mendgate_ts="export const gatewayUrl = mine;\n",
    )
    patched(root)
    assert (root / "_shared/mendgate.ts").read_text() == "export const gatewayUrl = mine;\n"


def test_a_patch_that_cannot_be_written_or_has_no_folder_ends_with_two(tmp_path: Path) -> None:
    for words in ((str(tmp_path / "no"), "--patch", str(tmp_path / "p")), (str(tmp_path), "--patch", str(tmp_path / "no" / "p"))):
        with pytest.raises(CommandError) as error:
            call_command("scan_functions", *words, skip_checks=True, stdout=StringIO())
        assert error.value.returncode == 2


PROGRAM = """
import { createClient } from "npm:@supabase/supabase-js@2";

const supabase = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!);
const loose = createClient(Deno.env.get("SUPABASE_URL") ?? "", "key", { auth: { persistSession: false } });

export async function summarize(text: string | null): Promise<string> {
  if (!text) return "";
  let prompt = text;
  prompt = prompt.trim();
  const response = await fetch("https://ai.gateway.lovable.dev/v1/chat/completions", {
    method: "POST",
    headers: { Authorization: `Bearer ${Deno.env.get("LOVABLE_API_KEY")}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: await shortened(prompt) }] }),
    signal: AbortSignal.timeout(5000),
  });
  if (response.status === 429) return "later";
  const data: { choices: { message: { content: string } }[] } = await response.json();
  await supabase.from("notes").insert({ text, summary: data.choices[0].message.content });
  await loose.auth.getUser();
  return data.choices[0].message.content;
}

const shortened = (prompt: string): Promise<string> => Promise.resolve(prompt.slice(0, 100));
if (import.meta.main) {
  const answers = [];
  for (let n = 0; n < 7; n++) answers.push(await probe());
  console.log(JSON.stringify(answers));
}

async function probe(): Promise<number> {
  const answer = await fetch("https://api.openai.com/v1/models", { headers: { "x-status": "503" } });
  return answer.status;
}
"""


@pytest.fixture
def deno() -> list[str]:
    """Deno with the packages that the acceptance tests install."""
    if not DENO.exists():
        pytest.skip("npm packages are not installed: make clients")
    return [str(DENO)]


def run(words: list[str], root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program in the folder of functions, with the packages of the acceptance tests."""
    link = root / "node_modules"
    if not link.exists():
        link.symlink_to(DENO.parents[1])
        (root / "package.json").write_text('{"dependencies": {"@supabase/supabase-js": "*"}}')
    everything = {**os.environ, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", **environment}
    return subprocess.run(words, cwd=root, env=everything, capture_output=True, text=True, timeout=120, check=False)


def test_what_type_checked_before_does_so_afterwards_and_runs(tmp_path: Path, deno: list[str]) -> None:
    root = folder(tmp_path, f=PROGRAM)
    patched(root)
    checked = run([*deno, "check", "--node-modules-dir=manual", "--no-lock", "f/index.ts"], root)
    assert checked.returncode == 0, checked.stderr
    replaced = (root / "f/index.ts").read_text().replace("https://api.openai.com/v1/models", "http://127.0.0.1:1/v1/models")
    (root / "f/index.ts").write_text(replaced)
    ran = run(
        [*deno, "run", "--node-modules-dir=manual", "--no-lock", "-A", "f/index.ts"],
        root,
        SUPABASE_URL="http://127.0.0.1:1",
        SUPABASE_ANON_KEY="k",
    )
    assert ran.stdout.strip() == "[503,503,503,503,503,503,503]", ran.stderr
