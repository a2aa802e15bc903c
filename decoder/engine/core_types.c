/* Makes the tables of message types from what Python gives. */
#include "core_types.h"

static const struct {
    const char *name;
    enum kind kind;
    enum wire_type wire_type;
} KINDS[] = {
    {"bool", BOOL, VARINT},         {"int32", INT32, VARINT},   {"int64", INT64, VARINT},
    {"uint32", UINT32, VARINT},     {"uint64", UINT64, VARINT}, {"float", FLOAT, FIXED32},
    {"double", DOUBLE, FIXED64},    {"string", STRING, LENGTH}, {"bytes", BYTES, LENGTH},
    {"message", MESSAGE, LENGTH},
};

struct span
span_of(PyObject *object)
{
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(object, &bytes, &size) < 0) {
        return (struct span){NULL, NULL};
    }
    return (struct span){(uint8_t *)bytes, (uint8_t *)bytes + size};
}

void
names_free(struct names *names)
{
    PyMem_Free(names->numbers);
    PyMem_Free(names->texts);
    Py_XDECREF(names->dict);
    memset(names, 0, sizeof *names);
}

bool
names_from(struct names *names, PyObject *dict)
{
    memset(names, 0, sizeof *names);
    if (!PyDict_Check(dict)) {
        PyErr_SetString(PyExc_TypeError, "names must be a dict");
        return false;
    }
    names->dict = PyDict_Copy(dict); /* nobody else can change what the spans point into */
    PyObject *numbers = names->dict == NULL ? NULL : PyDict_Keys(names->dict);
    if (numbers == NULL || PyList_Sort(numbers) < 0) {
        Py_XDECREF(numbers);
        names_free(names);
        return false;
    }
    size_t count = (size_t)PyList_Size(numbers);
    names->numbers = PyMem_Malloc((count + 1) * sizeof *names->numbers);
    names->texts = PyMem_Malloc((count + 1) * sizeof *names->texts);
    if (names->numbers == NULL || names->texts == NULL) {
        PyErr_NoMemory();
    }
    for (size_t i = 0; i < count && !PyErr_Occurred(); i++) {
        PyObject *number = PyList_GetItem(numbers, (Py_ssize_t)i);
        names->numbers[i] = PyLong_AsLongLong(number);
        names->texts[i] = span_of(PyDict_GetItem(names->dict, number));
    }
    names->count = (Py_ssize_t)count;
    Py_DECREF(numbers);
    if (PyErr_Occurred()) {
        names_free(names);
        return false;
    }
    return true;
}

Py_ssize_t
name_place(const struct names *names, int64_t number)
{
    Py_ssize_t low = 0, high = names->count - 1;
    while (low <= high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (names->numbers[middle] == number) {
            return middle;
        }
        if (names->numbers[middle] < number) {
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return -1;
}

struct span
name_of(const struct names *names, int64_t number)
{
    Py_ssize_t place = name_place(names, number);
    return place < 0 ? (struct span){NULL, NULL} : names->texts[place];
}

const struct type *
type_at(const struct types *types, Py_ssize_t index)
{
    if (index < 0 || index >= types->count) {
        PyErr_SetString(PyExc_IndexError, "no such type");
        return NULL;
    }
    return types->types[index];
}

static void
type_free(struct type *type)
{
    if (type == NULL) {
        return;
    }
    for (int i = 0; i < type->count; i++) {
        names_free(&type->fields[i].names);
        Py_XDECREF(type->fields[i].row);
    }
    PyMem_Free(type->fields);
    PyMem_Free(type);
}

static bool
set_kind(struct field *field, const char *name)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(KINDS[i].name, name) == 0) {
            field->kind = KINDS[i].kind;
            field->wire_type = KINDS[i].wire_type;
            return true;
        }
    }
    PyErr_Format(PyExc_ValueError, "no kind %s", name);
    return false;
}

/* Reads (number, kind, repeated, required, key, fixed, names, texts, inner), of which the last four may be None. */
static bool
field_from(struct field *field, PyObject *row, const struct types *types)
{
    int number, repeated, required;
    const char *kind;
    PyObject *key, *fixed, *names, *texts, *inner;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a field must be a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(row, "isppOOOOO:field", &number, &kind, &repeated, &required, &key, &fixed, &names, &texts,
                          &inner)) {
        return false;
    }
    if (number < 1 || number > MAX_NUMBER) {
        PyErr_SetString(PyExc_ValueError, "field number out of range");
        return false;
    }
    Py_INCREF(row);
    field->row = row; /* keeps everything in it */
    field->number = (uint16_t)number;
    field->repeated = repeated;
    field->required = required;
    field->key = span_of(key);
    field->fixed = fixed == Py_None ? (struct span){NULL, NULL} : span_of(fixed);
    field->texts = texts == Py_None ? NULL : texts;
    if (PyErr_Occurred() || !set_kind(field, kind) || (names != Py_None && !names_from(&field->names, names))) {
        return false;
    }
    if (field->kind == MESSAGE) {
        Py_ssize_t index = PyLong_AsSsize_t(inner);
        field->inner = PyErr_Occurred() ? NULL : type_at(types, index);
        return field->inner != NULL;
    }
    return true;
}

static struct type *
type_from(PyObject *rows, const struct types *types)
{
    Py_ssize_t count = PyTuple_Check(rows) ? PyTuple_Size(rows) : -1;
    if (count < 0 || count > MAX_FIELDS) {
        PyErr_SetString(PyExc_ValueError, "fields must be a tuple, and not too long");
        return NULL;
    }
    struct type *type = PyMem_Calloc(1, sizeof *type);
    if (type == NULL || (type->fields = PyMem_Calloc((size_t)count + 1, sizeof *type->fields)) == NULL) {
        PyMem_Free(type);
        PyErr_NoMemory();
        return NULL;
    }
    type->levels = 1;
    for (int last = 0; type->count < count;) {
        struct field *field = &type->fields[type->count++]; /* counted first, so that type_free sees it */
        if (!field_from(field, PyTuple_GetItem(rows, type->count - 1), types)) {
            type_free(type);
            return NULL;
        }
        if (field->number <= last) {
            PyErr_SetString(PyExc_ValueError, "fields must be in the order of their numbers");
            type_free(type);
            return NULL;
        }
        last = field->number;
        type->places[field->number] = type->count;
        type->required = (uint8_t)(type->required + field->required);
        if (field->inner != NULL && field->inner->levels >= type->levels) {
            type->levels = (uint8_t)(field->inner->levels + 1);
        }
    }
    if (type->levels > MAX_LEVELS) {
        PyErr_SetString(PyExc_ValueError, "types are nested too deep");
        type_free(type);
        return NULL;
    }
    return type;
}

Py_ssize_t
types_add(struct types *types, PyObject *rows)
{
    struct type *type = type_from(rows, types);
    if (type == NULL) {
        return -1;
    }
    struct type **grown = PyMem_Realloc(types->types, ((size_t)types->count + 1) * sizeof *grown);
    if (grown == NULL) {
        type_free(type);
        PyErr_NoMemory();
        return -1;
    }
    types->types = grown;
    types->types[types->count] = type;
    return types->count++;
}

int
types_traverse(const struct types *types, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < types->count; i++) {
        for (int k = 0; k < types->types[i]->count; k++) {
            Py_VISIT(types->types[i]->fields[k].row);
        }
    }
    return 0;
}

void
types_free(struct types *types)
{
    for (Py_ssize_t i = 0; i < types->count; i++) {
        type_free(types->types[i]);
    }
    PyMem_Free(types->types);
    memset(types, 0, sizeof *types);
}
