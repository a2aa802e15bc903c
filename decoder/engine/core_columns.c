/* The class Columns: reads bodies into the columns of tables; decoder/output/table_blocks.py is the definition. */
#include "core_lines.h"
#include "core_sources.h"

struct columns {
    PyObject_HEAD
    struct tables tables;
    Py_ssize_t source_count;
    struct source **sources;
};

/* Returns a list of pointers with room for one more; NULL with an exception, and the list is as it was. */
static void *
longer(void *list, Py_ssize_t count)
{
    void *grown = PyMem_Realloc(list, ((size_t)count + 1) * sizeof(void *));
    if (grown == NULL) {
        PyErr_NoMemory();
    }
    return grown;
}

static PyObject *
columns_read(PyObject *self, PyObject *arguments)
{
    struct columns *columns = (struct columns *)self;
    Py_ssize_t index;
    PyObject *body;
    int keep;
    if (!PyArg_ParseTuple(arguments, "nSp:read", &index, &body, &keep)) {
        return NULL;
    }
    if (index < 0 || index >= columns->source_count) {
        PyErr_SetString(PyExc_IndexError, "no such source");
        return NULL;
    }
    return read_body(&columns->tables, columns->sources[index], span_of(body), keep);
}

/* Returns the sheet with the index that a Python number is; NULL with an exception. */
static struct sheet *
sheet_of(PyObject *self, PyObject *number)
{
    Py_ssize_t index = PyLong_AsSsize_t(number);
    return PyErr_Occurred() ? NULL : sheet_at(&((struct columns *)self)->tables, index);
}

static PyObject *
columns_rows(PyObject *self, PyObject *number)
{
    const struct sheet *sheet = sheet_of(self, number);
    return sheet == NULL ? NULL : PyLong_FromUnsignedLong(sheet->rows);
}

static PyObject *
columns_take(PyObject *self, PyObject *number)
{
    struct sheet *sheet = sheet_of(self, number);
    return sheet == NULL ? NULL : sheet_take(sheet);
}

static PyObject *
columns_add_type(PyObject *self, PyObject *rows)
{
    Py_ssize_t index = types_add(&((struct columns *)self)->tables.types, rows);
    return index < 0 ? NULL : PyLong_FromSsize_t(index);
}

static PyObject *
columns_add_sheet(PyObject *self, PyObject *arguments)
{
    struct tables *tables = &((struct columns *)self)->tables;
    const char *letters;
    if (!PyArg_ParseTuple(arguments, "s:add_sheet", &letters)) {
        return NULL;
    }
    struct sheet **grown = longer(tables->sheets, tables->sheet_count);
    if (grown == NULL) {
        return NULL;
    }
    tables->sheets = grown;
    grown[tables->sheet_count] = sheet_new(letters);
    return grown[tables->sheet_count] == NULL ? NULL : PyLong_FromSsize_t(tables->sheet_count++);
}

static PyObject *
columns_add_reader(PyObject *self, PyObject *arguments)
{
    struct tables *tables = &((struct columns *)self)->tables;
    Py_ssize_t type_index, sheet_index, around_index;
    PyObject *rows;
    if (!PyArg_ParseTuple(arguments, "nnnO:add_reader", &type_index, &sheet_index, &around_index, &rows)) {
        return NULL;
    }
    const struct type *type = type_at(&tables->types, type_index);
    const struct sheet *sheet = type == NULL ? NULL : sheet_at(tables, sheet_index);
    const struct sheet *around = sheet == NULL || around_index == -1 ? NULL : sheet_at(tables, around_index);
    if (PyErr_Occurred()) {
        return NULL;
    }
    struct reader **grown = longer(tables->readers, tables->reader_count);
    if (grown == NULL) {
        return NULL;
    }
    tables->readers = grown;
    grown[tables->reader_count] = reader_new(type, rows, sheet, around, grown, tables->reader_count);
    return grown[tables->reader_count] == NULL ? NULL : PyLong_FromSsize_t(tables->reader_count++);
}

static PyObject *
columns_add_source(PyObject *self, PyObject *row)
{
    struct columns *columns = (struct columns *)self;
    struct source **grown = longer(columns->sources, columns->source_count);
    if (grown == NULL) {
        return NULL;
    }
    columns->sources = grown;
    grown[columns->source_count] = source_new(row, &columns->tables);
    return grown[columns->source_count] == NULL ? NULL : PyLong_FromSsize_t(columns->source_count++);
}

static int
columns_init(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    struct columns *columns = (struct columns *)self;
    static char *names[] = {"make_minute", NULL};
    PyObject *make_minute;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:Columns", names, &make_minute)) {
        return -1;
    }
    Py_INCREF(make_minute);
    Py_XDECREF(columns->tables.make_minute);
    columns->tables.make_minute = make_minute;
    return 0;
}

static int
columns_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct columns *columns = (struct columns *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(columns->tables.make_minute);
    for (Py_ssize_t i = 0; i < columns->source_count; i++) {
        Py_VISIT(columns->sources[i]->row);
    }
    for (Py_ssize_t i = 0; i < columns->tables.sheet_count; i++) {
        if (sheet_traverse(columns->tables.sheets[i], visit, arg)) {
            return -1;
        }
    }
    return types_traverse(&columns->tables.types, visit, arg);
}

static int
columns_clear(PyObject *self)
{
    Py_CLEAR(((struct columns *)self)->tables.make_minute);
    return 0;
}

static void
columns_dealloc(PyObject *self)
{
    struct columns *columns = (struct columns *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    columns_clear(self);
    for (Py_ssize_t i = 0; i < columns->source_count; i++) {
        source_free(columns->sources[i]);
    }
    for (Py_ssize_t i = 0; i < columns->tables.reader_count; i++) {
        reader_free(columns->tables.readers[i]);
    }
    for (Py_ssize_t i = 0; i < columns->tables.sheet_count; i++) {
        sheet_free(columns->tables.sheets[i]);
    }
    PyMem_Free(columns->sources);
    PyMem_Free(columns->tables.readers);
    PyMem_Free(columns->tables.sheets);
    types_free(&columns->tables.types);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef columns_methods[] = {
    {"add_type", columns_add_type, METH_O, NULL},
    {"add_sheet", columns_add_sheet, METH_VARARGS, NULL},
    {"add_reader", columns_add_reader, METH_VARARGS, NULL},
    {"add_source", columns_add_source, METH_O, NULL},
    {"read", columns_read, METH_VARARGS, NULL},
    {"rows", columns_rows, METH_O, NULL},
    {"take", columns_take, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot columns_slots[] = {
    {Py_tp_doc, "Reads bodies into the columns of tables; see _core.pyi."},
    {Py_tp_init, columns_init},
    {Py_tp_methods, columns_methods},
    {Py_tp_traverse, columns_traverse},
    {Py_tp_clear, columns_clear},
    {Py_tp_dealloc, columns_dealloc},
    {0, NULL},
};

PyType_Spec columns_spec = {
    "decoder._core.Columns", sizeof(struct columns), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, columns_slots,
};
