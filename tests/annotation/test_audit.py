"""The dependency audit: clean, a hole, or a service that cannot be asked: no clean bill."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "audit"
SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
HOLE = {"name": "oldlib", "version": "1.0", "vulns": [{"id": "GHSA-1", "fix_versions": ["1.1"]}]}
SKIPPED = {"name": "torch", "skip_reason": "not found"}


#: An index with advisories, a mirror without them, and a page of a hotel; all else is not there.
REPLIES = {
    "/advisories": (200, '{"vulnerabilities": []}'),
    "/mirror": (200, '{"info": {}}'),
    "/portal": (200, "<html>log in to this network</html>"),
}


class Service(BaseHTTPRequestHandler):
    """What the script asks."""

    def do_GET(self) -> None:
        """Answer."""
        status, body = REPLIES.get(self.path, (404, ""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def audit(
    folder: Path, service: str, output: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run the script with an interpreter that says what pip-audit would, and leaves a trace."""
    stub = folder / "python"
    stub.write_text(f"#!/bin/sh\ntouch {folder}/asked\ncat <<'END'\n{output}\nEND\n")
    stub.chmod(0o755)
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "PYTHON": str(stub), "AUDIT_SERVICE": service, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("packages", "code", "strict_code", "words"),
    [
        ([SOUND, SKIPPED], 0, 0, "No known hole in 1 of 2"),
        ([SOUND, HOLE], 1, 1, "oldlib 1.0: GHSA-1, fixed in 1.1"),
        ([SKIPPED], 0, 2, "NOT AUDITED: service unreachable"),
        (None, 0, 2, "NOT AUDITED: service unreachable"),
    ],
    ids=["clean", "vulnerable", "nothing found", "no answer"],
)
def test_what_the_audit_says(
    tmp_path: Path, service: str, packages: list | None, code: int, strict_code: int, words: str
) -> None:
    output = "" if packages is None else json.dumps({"dependencies": packages})
    done = audit(tmp_path, f"{service}/advisories", output)
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True)
    assert audit(tmp_path, f"{service}/advisories", output, "--strict").returncode == strict_code


@pytest.mark.parametrize("path", ["/mirror", "/portal", "/nothing", "unreachable"])
def test_a_service_that_cannot_be_asked_is_said_at_once(
    tmp_path: Path, service: str, path: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = service + path
        if path == "unreachable":
            address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        clean = json.dumps({"dependencies": [SOUND]})
        done = audit(tmp_path, address, clean)
        strict = audit(tmp_path, address, clean, "--strict")
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr.startswith("NOT AUDITED: service unreachable")
    assert strict.returncode == 2
    assert not (tmp_path / "asked").exists()  # nobody waits for the questions about every package


def test_the_check_of_the_project_audits() -> None:
    rules = (ROOT / "Makefile").read_text().split("\ncheck:")[1].split("\n\n")[0]
    assert "scripts/audit" in rules
