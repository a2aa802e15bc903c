"""The commands of docs/scale-out.md that start a cluster with TLS: who has no certificate is refused."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Result, opendump
from tests.support.pages import ROOT
from tests.support.recorded import CAPTURES, DEMO_KEY

pytest.importorskip("distributed")
OPENSSL = shutil.which("openssl")
pytestmark = [
    pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed"),
    pytest.mark.skipif(os.name == "nt", reason="POSIX signals"),
]


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run([str(OPENSSL), *arguments], cwd=folder, check=True, capture_output=True)


def certificate(folder: Path, name: str, *, signed: bool = True) -> None:
    """Makes NAME.pem and NAME-key.pem, signed by the authority ca.pem or by itself."""
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}-key.pem")
    if not signed:
        openssl(folder, *new, "-x509", "-out", f"{name}.pem")
        return
    openssl(folder, *new, "-out", f"{name}.csr")
    authority = ("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", *authority, "-out", f"{name}.pem")


def shown(role: str) -> list[str]:
    """The command of the page that starts a scheduler or worker with TLS."""
    page = (ROOT / "docs" / "scale-out.md").read_text("utf-8")
    found = re.search(rf"^    dask ({role} .*--tls-ca-file .*)$", page, re.MULTILINE)
    assert found is not None
    return shlex.split(found[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    certificate(made, "ca", signed=False)
    for name in ("scheduler", "worker", "client"):
        certificate(made, name)
    certificate(made, "stranger", signed=False)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of a scheduler with one worker, started as the page says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = f"tls://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    here = ["--host", "127.0.0.1", "--no-dashboard"]
    with (folder / "log").open("wb") as log:
        running = [
            subprocess.Popen([*dask, *arguments, *here], cwd=folder, stdout=log, stderr=log)
            for arguments in (
                [*shown("scheduler"), "--port", str(port)],
                [found if word.startswith("tls://") else word for word in shown("worker")],
            )
        ]
        try:
            end = time.monotonic() + 100
            while b"Registered to" not in (folder / "log").read_bytes():
                assert time.monotonic() < end, (folder / "log").read_text()
                assert all(process.poll() is None for process in running), (folder / "log").read_text()
                time.sleep(0.1)
            yield found
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(60)


def export(address: str, output: Path, folder: Path, name: str | None) -> Result:
    """Runs the command with the certificate that the environment names."""
    variables = {}
    if name is not None:
        variables = {
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(folder / "ca.pem"),
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": str(folder / f"{name}.pem"),
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": str(folder / f"{name}-key.pem"),
        }
        page = (ROOT / "docs" / "scale-out.md").read_text("utf-8")
        assert all(variable in page for variable in variables)
    arguments = ("--rsa-key", DEMO_KEY, "--workers", 1, "--scheduler", address, "-o", output)
    return opendump("export", CAPTURES / "ftaes.pcap", *arguments, **variables)


def test_who_has_a_certificate_of_the_authority_is_served(address: str, folder: Path, tmp_path: Path) -> None:
    done = export(address, tmp_path / "set", folder, "client")
    assert done.code == 0, done.err
    assert (tmp_path / "set" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("plain", "name", "why"),
    [
        (True, None, "no Dask scheduler answers"),
        (False, None, "needs a certificate: name it in DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"),
        (False, "stranger", "no Dask scheduler answers"),
    ],
)
def test_who_has_none_is_refused(
    address: str, folder: Path, tmp_path: Path, plain: bool, name: str | None, why: str
) -> None:
    done = export(address.replace("tls://", "tcp://") if plain else address, tmp_path / "set", folder, name)
    assert (done.code, len(done.err.splitlines())) == (1, 1), done.err
    assert why in done.err
    assert not (tmp_path / "set" / "manifest.json").exists()
