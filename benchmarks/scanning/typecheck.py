"""``deno check`` of a project whose remote imports cannot be fetched: supabase-js and openai come from npm, any other module is a stub that
exports what the project imports from it, typed ``any``. What is compared is the same project before and after a patch."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

from healing.scan.folder import Folder
from healing.scan.source import inner, text_of

DENO = Path(__file__).resolve().parents[2] / "tests" / "acceptance" / "deno" / "node_modules" / ".bin" / "deno"
_ERROR = re.compile(r"^(TS\d+) .*?$.*?^\s+at file://(\S+?):(\d+):(\d+)", re.MULTILINE | re.DOTALL)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_SUPABASE = re.compile(r"@supabase/supabase-js(?:@[^/?]*)?(?:$|[?/])")
_SERVE = """export function serve(handler: (req: Request) => Response | Promise<Response>, options?: any): void;
export function serve(handler: any, options?: any): any { return handler; }
"""


def prepare(root: Path, work: Path) -> Path:
    """Writes stubs and an import map into ``work``; returns the map."""
    names: dict[str, set[str]] = defaultdict(set)
    folder = Folder(root)
    for unit in folder.units.values():
        for kind in ("import_statement", "export_statement"):
            for node in unit.source.root.find_all(kind=kind):
                source = node.field("source")
                origin = (text_of(source) or "") if source is not None else ""
                if origin and not origin.startswith(".") and folder.find(unit.source.path, origin) is None:
                    names[origin] |= {n.text() for s in node.find_all(kind="import_specifier") if (n := s.field("name")) is not None}
        for call in unit.source.root.find_all(kind="call_expression"):
            if call.text().startswith("import(") and (given := inner(call.field("arguments") or call)) and (text := text_of(given[0])):
                names[text] |= set() if text.startswith(".") else {"createClient"}
    work.mkdir(parents=True, exist_ok=True)
    imports = {
        origin: _target(origin, wanted, work, number) for number, (origin, wanted) in enumerate(sorted(names.items())) if origin[0] != "."
    }
    found = work / "import_map.json"
    found.write_text(json.dumps({"imports": imports}))
    return found


def _target(origin: str, names: set[str], work: Path, number: int) -> str:
    if _SUPABASE.search(origin):
        return "npm:@supabase/supabase-js@2"
    if origin.startswith("node:"):
        return origin
    stub = work / f"stub{number}.ts"
    exported = [f"export const {name}: any = 0; export type {name} = any;" for name in sorted(names - {"serve", "default"})]
    text = "\n".join([*([_SERVE] if "serve" in names else []), *exported, "const all: any = 0; export default all;"])
    stub.write_text(text + "\n")
    return stub.as_uri()


def errors(root: Path, imports: Path, files: list[str]) -> dict[str, Counter[str]]:
    """Errors by file and code."""
    environment = {**os.environ, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}
    words = [str(DENO), "check", "--quiet", "--no-lock", "--node-modules-dir=none", f"--import-map={imports}", *files]
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, timeout=900, check=False)
    text = _ANSI.sub("", done.stderr)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for code, path, _, _ in _ERROR.findall(text):
        found[Path(path).resolve().relative_to(root.resolve()).as_posix() if str(root.resolve()) in path else path][code] += 1
    if done.returncode and not found:
        found["?"][text.strip()[:600]] += 1
    return found
