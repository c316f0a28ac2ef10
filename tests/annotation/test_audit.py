"""The dependency audit: a hole fails it; silence of the service is said, and no clean bill."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "audit"
SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
HOLE = {"name": "oldlib", "version": "1.0", "vulns": [{"id": "GHSA-1", "fix_versions": ["1.1"]}]}
SKIPPED = {"name": "torch", "skip_reason": "not found"}


def audit(folder: Path, output: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script with an interpreter that prints what pip-audit would."""
    stub = folder / "python"
    stub.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
    stub.chmod(0o755)
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "PYTHON": str(stub)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("packages", "code", "strict_code", "words"),
    [
        ([SOUND, SKIPPED], 0, 0, "No known hole in 1 of 2"),
        ([SOUND, HOLE], 1, 1, "oldlib 1.0: GHSA-1, fixed in 1.1"),
        ([SKIPPED], 0, 2, "could not be asked"),
        (None, 0, 2, "could not be asked"),
    ],
)
def test_what_the_audit_says(
    tmp_path: Path, packages: list | None, code: int, strict_code: int, words: str
) -> None:
    output = "" if packages is None else json.dumps({"dependencies": packages})
    done = audit(tmp_path, output)
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True)
    assert audit(tmp_path, output, "--strict").returncode == strict_code
