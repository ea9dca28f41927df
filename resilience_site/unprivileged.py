"""Running a server as somebody else: Postgres refuses to run as root, and rightly so."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

ACCOUNT = "mendgate"


def account() -> pwd.struct_passwd | None:
    """Who shall run Postgres: None (ourselves) unless we are root; then an account of its own, made when missing."""
    if os.geteuid() != 0:
        return None
    for _ in range(2):
        try:
            return pwd.getpwnam(ACCOUNT)
        except KeyError:
            if not _make_account():
                break
    return pwd.getpwnam("nobody")


def give(directory: Path, who: pwd.struct_passwd | None) -> None:
    """Make ``directory`` (empty or Postgres's own) belong to ``who``, closed to everybody else."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    if who is not None and directory.stat().st_uid != who.pw_uid:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, who.pw_uid, who.pw_gid, follow_symlinks=False)


def let_through(path: Path, who: pwd.struct_passwd | None) -> list[Path]:
    """Let ``who`` pass (not list) the directories above ``path``; the ones that had to be opened are returned.

    Needed where the checkout is in a home directory of root, mode 0700: Postgres's files below stay 0700.
    """
    if who is None:
        return []
    closed = [p for p in path.resolve().parents if not _may_pass(p, who)]
    for directory in closed:
        directory.chmod(directory.stat().st_mode | stat.S_IXOTH)
    return closed


def _may_pass(directory: Path, who: pwd.struct_passwd) -> bool:
    facts = directory.stat()
    if facts.st_uid == who.pw_uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    return bool(facts.st_mode & (stat.S_IXGRP if facts.st_gid == who.pw_gid else stat.S_IXOTH))


def _make_account() -> bool:
    command = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if command is None:
        return False
    made = subprocess.run(
        [command, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT], capture_output=True, check=False
    )
    return made.returncode in (0, 9)  # 9: another process made it meanwhile
