"""Settings for all tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from tests.support.vendor_schema import Vendor

# The SDK writes logs below the home directory as soon as it is imported, and two processes that do so at once collide.
_home = tempfile.mkdtemp(prefix="opendump-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["HOME"] = os.environ["APPDATA"] = _home

# Machines that run tests are slow and shared: an example may take its time, and what it costs is measured elsewhere.
_patient = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
settings.register_profile("quick", _patient, derandomize=True)
settings.register_profile("long", _patient, max_examples=20_000)
settings.load_profile(os.environ.get("OPENDUMP_HYPOTHESIS", "quick"))


@pytest.fixture(scope="session")
def vendor() -> Vendor:
    """The schema of the installed futu-api."""
    from tests.support.vendor_schema import Vendor
    from tests.tools.vendor_schema import installed_release

    try:
        folder, version = installed_release()
    except PackageNotFoundError:
        pytest.skip("futu-api is not installed")
    return Vendor(folder, version)
