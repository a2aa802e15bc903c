"""Builds the compiled core; everything else of the package is declared in pyproject.toml.

Without a C compiler the extension is left out and the package is pure Python, with the same output.
"""

import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

# Other implementations, and CPython without the global lock, do not have the limited API that the source keeps to.
limited_api = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
folder = Path("decoder/engine")
core = Extension(
    "decoder._core",
    sources=[path.as_posix() for path in sorted(folder.glob("*.c"))],
    depends=[path.as_posix() for path in sorted(folder.glob("*.h"))],
    extra_compile_args=["/std:c11"] if sys.platform == "win32" else ["-std=c11", "-O2", "-g0", "-fvisibility=hidden"],
    py_limited_api=True,
    optional=True,
)
setup(
    ext_modules=[core] if limited_api else [],
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if limited_api else {},
)
