"""Settings for all tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from hypothesis import HealthCheck, settings

# The SDK writes logs below the home directory as soon as it is imported, and two processes that do so at once collide.
_home = tempfile.mkdtemp(prefix="opendump-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["HOME"] = os.environ["APPDATA"] = _home

# Machines that run tests are slow and shared: an example may take its time, and what it costs is measured elsewhere.
settings.register_profile("all", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("all")
