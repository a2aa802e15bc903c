"""The package as Scapy and other programs find it: what importing costs, loading the extension as it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import decoder

REPOSITORY = Path(__file__).parents[2]


def run(python: Path | str, code: str, folder: Path) -> str:
    """What `code` prints in a fresh interpreter that was started in `folder`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"XDG_CACHE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [str(python), "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


# Importing


def test_every_public_name_is_there() -> None:
    assert {name: getattr(decoder, name) for name in decoder.__all__}
    assert set(dir(decoder)) <= set(decoder.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        decoder.nonsense  # noqa: B018


def test_importing_it_imports_nothing_else(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
before = set(sys.modules)
import decoder
print(sorted(name for name in set(sys.modules) - before if name.split('.')[0] not in sys.stdlib_module_names))
decoder.Limits, decoder.Message, decoder.OpenDError
print(sorted({{'scapy', 'google.protobuf', 'rich', 'click', 'orjson', 'Crypto'}} & set(sys.modules)))
"""
    assert run(sys.executable, code, tmp_path).splitlines() == ["['decoder']", "[]"]


# Loading


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the project, installed one way or the other, and what it needs."""
    folder = tmp_path_factory.mktemp(request.param)
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(REPOSITORY / "decoder", source / "decoder", ignore=shutil.ignore_patterns("__pycache__"))
    home = folder / "environment"
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (own,) = run(python, "import sysconfig; print(sysconfig.get_paths()['purelib'])", folder).splitlines()
    # Behind its own packages those of this environment: what the project needs is not installed again.
    needed = {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]}
    Path(own, "needed.pth").write_text("\n".join(sorted(needed)) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", *(["--editable"] if request.param == "editable" else []), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return python


LOAD = """
import builtins, sys
from scapy.config import conf
conf.exts.load("scapy-opend")
assert "scapy.contrib.opend" not in sys.modules, "loaded before it was asked for"
from scapy.main import load_contrib
load_contrib("opend")
"""


def test_it_runs_from_where_it_was_installed(installed: Path, tmp_path: Path) -> None:
    code = "import decoder; print(decoder.__file__); print(decoder.__version__)"
    file, version = run(installed, code, tmp_path).splitlines()
    assert f'version = "{version}"' in (REPOSITORY / "pyproject.toml").read_text("utf-8")
    place = Path(file)
    assert installed.parent.parent.parent in place.parents
    assert place.parent != REPOSITORY / "decoder"


def test_scapy_loads_the_extension(installed: Path, tmp_path: Path) -> None:
    code = f"""{LOAD}
import decoder
from scapy.contrib.opend import OpenD, OpenDSession
print(OpenD is decoder.OpenD, OpenDSession is decoder.OpenDSession, builtins.OpenD is OpenD)
print([(ext.name, ext.version == decoder.__version__) for ext in conf.exts.exts])
print([layer.__name__ for layer in conf.layers].count("OpenD"))
print(OpenD(proto="KeepAlive", serial_no=7, body={{"c2s": {{"time": 1700000000}}}}).summary())
"""
    assert run(installed, code, tmp_path).splitlines() == [
        "True True True",
        "[('scapy-opend', True)]",
        "1",
        "OpenD KeepAlive request #7",
    ]


def test_explore_finds_the_layer(installed: Path, tmp_path: Path) -> None:
    output = run(installed, LOAD + "from scapy.packet import explore; explore('opend')", tmp_path)
    assert "scapy.contrib.opend" in output
    assert "OpenD" in output.splitlines()[-1]


def test_a_capture_is_sniffed_in_a_session_of_scapy(installed: Path, tmp_path: Path) -> None:
    capture, key = (str(REPOSITORY / "captures" / name) for name in ("ftaes.pcap", "demo_rsa_key.pem"))
    code = f"""{LOAD}
from scapy.all import sniff, conf
conf.contribs["OpenD"]["rsa_keys"] = [{key!r}]
packets = [p for p in sniff(offline={capture!r}, session=OpenDSession) if OpenD in p]
print(len(packets), {{p[OpenD].message.verdict for p in packets}})
import decoder
print(sum(isinstance(m, decoder.Message) for m in decoder.read({capture!r}, rsa_keys=[{key!r}])))
"""
    sniffed, read = run(installed, code, tmp_path).splitlines()
    assert sniffed == f"{read} {{'verified'}}"
    assert int(read) > 100


def test_a_pickled_layer_needs_no_extension(installed: Path, tmp_path: Path) -> None:
    """The class says that it lives in scapy.contrib.opend, which is there only where the extension is loaded."""
    code = LOAD + "import pickle; print(pickle.dumps(OpenD(serial_no=9)).hex())"
    data = run(installed, code, tmp_path).strip()
    code = f"import pickle; print(pickle.loads(bytes.fromhex({data!r})).summary())"
    assert run(installed, code, tmp_path).strip() == "OpenD KeepAlive request #9"
