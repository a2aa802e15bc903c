/* Python's limited API of 3.10: one compiled file works with every later CPython. */
#ifndef OPENDUMP_CORE_PYTHON_H
#define OPENDUMP_CORE_PYTHON_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030A0000
#endif
#include <Python.h>

#endif
