"""The scanner and the codemod on projects of other people: ``python -m benchmarks.scanning FOLDER [--show N] [--types]``.

FOLDER holds one folder a project, each with ``supabase/functions`` and ``supabase/migrations``, and anywhere the types that Supabase
generated. Each schema is rebuilt by replaying the migrations; a finding counts only where the rebuilt table has exactly the columns of the
live one. Exit code 1 if anything crashed, a finding is wrong, a patched file does not parse, a patch does not apply, or a second patch is
not empty. ``--types`` also compares what ``deno check`` says before and after (remote modules are stubs). Nothing of the projects is kept.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psycopg
from msgspec import Struct, field

from benchmarks.figures import figure
from benchmarks.scanning import live_types, typecheck
from benchmarks.scanning.replay import Replayed, replay
from healing.core.sources.findings import Finding
from healing.core.sources.writes import World
from healing.scan.folder import Folder
from healing.scan.patch import patch
from healing.scan.scanning import scan
from healing.scan.source import Source
from resilience_site.embedded import EmbeddedPostgres
from schema_monitor.core.lineage import Lineage


class Outcome(Struct):
    """Sums over all projects."""

    counts: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    kept: list[tuple[str, Finding]] = field(default_factory=list)
    worst: float = 0.0
    """seconds for 60 functions, in the project where that took longest."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", type=int, default=0, help="print so many findings, drawn at random, to be judged by eye")
    parser.add_argument("--types", action="store_true")
    options = parser.parse_args()
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="mendgate-scanning-") as name:
        home = Path(name)
        home.chmod(0o711)
        with EmbeddedPostgres(home, durable=False) as server:
            for number, project in enumerate(sorted(p for p in options.folder.iterdir() if (p / "supabase/functions").is_dir())):
                _project(project, _database(server, number), home / f"p{number}", outcome, options.types)
    for project, finding in random.Random(1).sample(outcome.kept, min(options.show, len(outcome.kept))):
        print(f"{project} {finding.place} {finding.rule}: {finding.message}")
    return _report(outcome, options.types)


def _database(server: EmbeddedPostgres, number: int) -> str:
    owner = server.state.owner_url
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE p{number}")
    return str(psycopg.conninfo.make_conninfo(owner, dbname=f"p{number}"))


def _project(project: Path, url: str, work: Path, outcome: Outcome, types: bool) -> None:
    functions = project / "supabase/functions"
    built = replay(url, project / "supabase/migrations")
    world = World(built.snapshot, Lineage.start(built.snapshot), {})
    started = time.perf_counter()
    found = scan(functions, world)
    seconds = time.perf_counter() - started
    outcome.worst = max(outcome.worst, 60 * seconds / max(60, found.totals.functions))
    sums = found.totals
    outcome.counts.update(projects=1, functions=sums.functions, calls=sums.calls, writes=sums.writes, files=len(found.files))
    _judge(project, found.findings, built, outcome)
    _codemod(functions, work, outcome, types)
    told = f"{sums.functions:4} functions {sums.calls:5} calls {len(found.findings):4} findings"
    print(f"{project.name[:12]:14} {told} {seconds:5.1f} s", flush=True)


def _judge(project: Path, findings: tuple[Finding, ...], built: Replayed, outcome: Outcome) -> None:
    known = _types(project)
    for finding in findings:
        said = live_types.verdict(finding, known, built.snapshot) if known is not None else "no types"
        outcome.verdicts[said] += 1
        if said in ("right", "wrong", "unsettled"):
            outcome.kept.append((project.name, finding))


def _types(project: Path) -> live_types.Known | None:
    """The largest file of generated types."""
    files = [p for p in project.rglob("*types*.ts") if p.is_file() and b"Relationships" in p.read_bytes().replace(b"\0", b"")]
    return live_types.read(max(files, key=lambda p: p.stat().st_size)) if files else None


def _codemod(functions: Path, work: Path, outcome: Outcome, types: bool) -> None:
    """Steps: copy, patch by git, read again, patch again; compare what the compiler says."""
    after = work / "after/supabase/functions"
    shutil.copytree(functions, after, symlinks=True, ignore=_ignored)
    made = patch(Folder(after))
    diff = work / "move.patch"
    diff.write_bytes(made.diff("supabase/functions").encode())
    git = shutil.which("git") or "git"
    subprocess.run([git, "init", "-q"], cwd=work / "after", check=True)
    applied = (
        not made.files or subprocess.run([git, "apply", "--whitespace=nowarn", str(diff)], cwd=work / "after", check=False).returncode == 0
    )
    outcome.counts["not applied"] += not applied
    outcome.counts["not as planned"] += sum((after / path).read_bytes().decode() != text for path, (_, text) in made.files.items())
    outcome.counts["not parsed"] += sum(bool(Source(path, text).broken) for path, (_, text) in made.files.items())
    outcome.counts["changed again"] += len(patch(Folder(after)).files)
    outcome.counts.update(moved=made.moved, left=len(made.skipped), patched=sum(before is not None for before, _ in made.files.values()))
    if types:
        before = work / "before/supabase/functions"
        shutil.copytree(functions, before, symlinks=True, ignore=_ignored)
        _compiled(before, after, work, outcome)


def _compiled(before: Path, after: Path, work: Path, outcome: Outcome) -> None:
    imports = typecheck.prepare(before, work / "stubs")
    files = list(Folder(before).units)
    old, new = typecheck.errors(before, imports, files), typecheck.errors(after, imports, files)
    if "?" in old:
        outcome.counts["not checkable"] += len(files)
        return
    outcome.counts["compiled before"] += sum(path not in old for path in files)
    outcome.counts["broken by the patch"] += sum(path in new and path not in old for path in files)


def _ignored(folder: str, names: list[str]) -> list[str]:
    """Configurations ask for modules that cannot be fetched here."""
    return [name for name in names if name in ("deno.json", "deno.jsonc", "tsconfig.json", "package.json", "node_modules", "deno.lock")]


def _report(outcome: Outcome, types: bool) -> int:
    counts, verdicts = outcome.counts, outcome.verdicts
    settled = verdicts["right"] + verdicts["wrong"]
    print(f"\n{dict(counts)}\n{dict(verdicts)}")
    figure(
        "scanned projects",
        f"{counts['projects']}, {counts['functions']} functions, {counts['calls']} calls",
        "≥ 10, no crash",
        counts["projects"] >= 10,
    )
    figure(
        "findings right, of those that live types settle",
        f"{verdicts['right']} of {settled}",
        "≥ 95 %",
        verdicts["right"] >= 0.95 * settled,
    )
    figure("60 functions", f"{outcome.worst:.1f} s", "< 10 s", outcome.worst < 10)
    broken = sum(counts[name] for name in ("not applied", "not as planned", "not parsed", "changed again", "broken by the patch"))
    figure("calls moved by patches, faults", f"{counts['moved']} ({counts['left']} left), {broken}", "0 faults", not broken)
    if types:
        figure(
            "files that compiled before and not after", f"{counts['broken by the patch']} of {counts['compiled before']}", "0", not broken
        )
    return int(bool(broken or verdicts["wrong"] > 0.05 * settled or outcome.worst >= 10))


if __name__ == "__main__":
    sys.exit(main())
