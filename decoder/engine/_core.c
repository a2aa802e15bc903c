/* The module decoder._core: what Python takes longest for, again in C.  _core.pyi says how it is used. */
#include "core_lines.h"
#include "core_numbers.h"
#include "core_walk.h"

/* Writes a number with one of the functions of core_numbers.h, which the tests compare with orjson. */
static PyObject *
written(PyObject *arguments, bool single)
{
    double value;
    PyObject *write;
    if (!PyArg_ParseTuple(arguments, "dO", &value, &write)) {
        return NULL;
    }
    struct buffer buffer = {NULL, 0, 0, false};
    bool done = single ? put_shortest_float(&buffer, (float)value, write) : put_shortest_double(&buffer, value, write);
    if (done && buffer.failed) {
        PyErr_NoMemory();
    }
    PyObject *text = PyErr_Occurred() ? NULL : PyBytes_FromStringAndSize(buffer.bytes, (Py_ssize_t)buffer.length);
    buffer_free(&buffer);
    return text;
}

static PyObject *
json_double(PyObject *module, PyObject *arguments)
{
    (void)module;
    return written(arguments, false);
}

static PyObject *
json_float(PyObject *module, PyObject *arguments)
{
    (void)module;
    return written(arguments, true);
}

static int
add_class(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *class = PyType_FromSpec(spec);
    int failed = class == NULL ? -1 : PyModule_AddObjectRef(module, name, class);
    Py_XDECREF(class);
    return failed;
}

static int
core_exec(PyObject *module)
{
    if (message_fields == NULL) {
        message_fields = PyType_FromSpec(&message_fields_spec);
    }
    if (message_fields == NULL || PyModule_AddObjectRef(module, "MessageFields", message_fields) < 0
        || add_class(module, "JsonLines", &json_lines_spec) < 0 || add_class(module, "TextLines", &text_lines_spec) < 0
        || add_class(module, "Columns", &columns_spec) < 0) {
        return -1;
    }
    return add_class(module, "Walker", &walker_spec);
}

static PyMethodDef core_methods[] = {
    {"json_double", json_double, METH_VARARGS, "Returns a finite double as orjson writes it; for the tests."},
    {"json_float", json_float, METH_VARARGS, "Returns a finite 4-byte float likewise."},
    {"pcap_records", pcap_records, METH_VARARGS, "Reads the records of a pcap file that are whole in a buffer."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
    {0, NULL},
};

static struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT, "_core", "What Python takes longest for, in C.", 0, core_methods, core_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&core_module);
}
