/* Reads the bodies of a source, and makes sources from what Python gives. */
#include "core_sources.h"

struct sheet *
sheet_at(const struct tables *tables, Py_ssize_t index)
{
    if (index < 0 || index >= tables->sheet_count) {
        PyErr_SetString(PyExc_IndexError, "no such sheet");
        return NULL;
    }
    return tables->sheets[index];
}

/* Reads the rows in a place; false if one of them is not ordinary, or with an exception. */
static bool
read_rows(struct tables *tables, const struct rows_place *rows, struct span part, const struct slot *slot)
{
    struct place place = {rows->around, NULL, 0, tables->make_minute, tables->minutes};
    if (!sheet_begin_row(rows->around) || !run_reader(rows->context, &place, part)) {
        return false;
    }
    sheet_end_row(rows->around);
    place.sheet = rows->sheet;
    place.around = rows->around;
    struct items items = items_of(rows->list, slot);
    struct value value;
    for (; place.item < slot->items; place.item++) {
        if (!next_item(&items, &value) || !sheet_begin_row(rows->sheet) || !run_reader(rows->row, &place, value.bytes)) {
            return false;
        }
        sheet_end_row(rows->sheet);
    }
    return true;
}

/* Reads the part of a body where rows stand; what was added is dropped if it is not to be kept, or not ordinary. */
static bool
read_part(struct tables *tables, const struct source *source, struct span part, bool keep)
{
    struct slot slots[MAX_FIELDS];
    uint32_t before[MAX_PLACES][2];
    const struct type *type = source->type->fields[source->part].inner;
    if (!find_fields(type, part, slots)) {
        return false;
    }
    for (int i = 0; i < source->count; i++) {
        before[i][0] = source->places[i].around->rows;
        before[i][1] = source->places[i].sheet->rows;
    }
    bool well = true;
    for (int i = 0; i < source->count && well; i++) {
        const struct rows_place *rows = &source->places[i];
        well = read_rows(tables, rows, part, &slots[rows->list - type->fields]);
    }
    for (int i = source->count - 1; i >= 0 && !(well && keep); i--) {
        sheet_cut(source->places[i].around, before[i][0]);
        sheet_cut(source->places[i].sheet, before[i][1]);
    }
    return well;
}

enum { HAS_ERR_CODE = 1, HAS_RET_MSG = 2 };

static const struct slot *
slot_at(const struct slot *slots, int place)
{
    static const struct slot absent;
    return place < 0 ? &absent : &slots[place];
}

static PyObject *
none(void)
{
    Py_INCREF(Py_None);
    return Py_None;
}

/* Returns what Python wants to know of a body that was read: see read in _core.pyi. */
static PyObject *
answer(const struct source *source, const struct slot *slots, PyObject *ret_name, bool has_part)
{
    const struct slot *code = slot_at(slots, source->err_code), *text = slot_at(slots, source->ret_msg);
    bool success = ret_name == Py_None || integer_of(INT32, slots[source->ret_type].first.number) == 0;
    if (has_part && success && integer_of(INT32, code->first.number) == 0 && span_size(text->first.bytes) == 0) {
        return PyLong_FromLong((code->items ? HAS_ERR_CODE : 0) + (text->items ? HAS_RET_MSG : 0));
    }
    PyObject *err_code = code->items ? PyLong_FromLongLong(integer_of(INT32, code->first.number)) : none();
    struct span said = text->first.bytes;
    PyObject *ret_msg = text->items ? PyUnicode_DecodeUTF8((const char *)said.at, (Py_ssize_t)span_size(said), NULL)
                                    : none();
    PyObject *found = err_code == NULL || ret_msg == NULL
                          ? NULL
                          : PyTuple_Pack(4, has_part ? Py_True : Py_False, ret_name, err_code, ret_msg);
    Py_XDECREF(err_code);
    Py_XDECREF(ret_msg);
    return found;
}

/* Returns the name of the retType, None if bodies have none; NULL if there is no such name, or with an exception. */
static PyObject *
find_ret_name(const struct source *source, const struct slot *slots)
{
    if (source->ret_type < 0) {
        return Py_None;
    }
    const struct slot *slot = &slots[source->ret_type];
    PyObject *number = slot->items ? PyLong_FromLongLong(integer_of(INT32, slot->first.number)) : NULL;
    PyObject *name = number == NULL ? NULL : PyDict_GetItemWithError(source->ret_names, number);
    Py_XDECREF(number);
    return name;
}

PyObject *
read_body(struct tables *tables, const struct source *source, struct span body, bool keep)
{
    struct slot slots[MAX_FIELDS];
    PyObject *ret_name = find_fields(source->type, body, slots) ? find_ret_name(source, slots) : NULL;
    bool well = ret_name != NULL;
    if (well && slots[source->part].items) {
        well = read_part(tables, source, slots[source->part].first.bytes, keep);
    }
    if (!well) {
        return PyErr_Occurred() ? NULL : none();
    }
    return answer(source, slots, ret_name, slots[source->part].items != 0);
}

/* Sets the place of a field of the type; -1 for number 0. */
static bool
find_place(const struct type *type, int number, enum kind kind, int *place)
{
    *place = -1;
    if (number == 0) {
        return true;
    }
    if (number < 0 || number > MAX_NUMBER || type->places[number] == 0) {
        PyErr_SetString(PyExc_ValueError, "no such field");
        return false;
    }
    *place = type->places[number] - 1;
    if (type->fields[*place].repeated || type->fields[*place].kind != kind) {
        PyErr_SetString(PyExc_ValueError, "the field is of another kind");
        return false;
    }
    return true;
}

static bool
place_from(struct rows_place *place, PyObject *row, const struct tables *tables, const struct type *part)
{
    int number, list;
    Py_ssize_t context, around, reader, sheet;
    if (!PyTuple_Check(row) || !PyArg_ParseTuple(row, "innnn:place", &number, &context, &around, &reader, &sheet)) {
        PyErr_SetString(PyExc_TypeError, "a place must be a tuple of numbers");
        return false;
    }
    if (number <= 0 || number > MAX_NUMBER || part->places[number] == 0 || context < 0 || reader < 0
        || context >= tables->reader_count || reader >= tables->reader_count) {
        PyErr_SetString(PyExc_ValueError, "no such field or reader");
        return false;
    }
    list = part->places[number] - 1;
    place->list = &part->fields[list];
    place->context = tables->readers[context];
    place->row = tables->readers[reader];
    place->around = sheet_at(tables, around);
    place->sheet = place->around == NULL ? NULL : sheet_at(tables, sheet);
    if (place->sheet == NULL) {
        return false;
    }
    if (place->context->type != part || place->context->sheet != place->around || place->context->around != NULL
        || place->row->type != place->list->inner || place->row->sheet != place->sheet
        || place->row->around != place->around) {
        PyErr_SetString(PyExc_ValueError, "a reader is of another type or sheet");
        return false;
    }
    return true;
}

/* Reads a SourceRow of _core.pyi. */
static bool
source_from(struct source *source, PyObject *row, const struct tables *tables)
{
    Py_ssize_t type_index;
    int part, ret_type, err_code, ret_msg;
    PyObject *places;
    if (!PyArg_ParseTuple(row, "niiiiO!O!:source", &type_index, &part, &ret_type, &err_code, &ret_msg, &PyDict_Type,
                          &source->ret_names, &PyTuple_Type, &places)) {
        return false;
    }
    const struct type *type = source->type = type_at(&tables->types, type_index);
    if (type == NULL || !find_place(type, part, MESSAGE, &source->part)
        || !find_place(type, ret_type, INT32, &source->ret_type)
        || !find_place(type, err_code, INT32, &source->err_code)
        || !find_place(type, ret_msg, STRING, &source->ret_msg)) {
        return false;
    }
    if (source->part < 0 || PyTuple_Size(places) > MAX_PLACES) {
        PyErr_SetString(PyExc_ValueError, "no part, or too many places");
        return false;
    }
    for (; source->count < PyTuple_Size(places); source->count++) {
        if (!place_from(&source->places[source->count], PyTuple_GetItem(places, source->count), tables,
                        type->fields[source->part].inner)) {
            return false;
        }
    }
    return true;
}

struct source *
source_new(PyObject *row, const struct tables *tables)
{
    struct source *source = PyMem_Calloc(1, sizeof *source);
    if (source == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    Py_INCREF(row);
    source->row = row;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a source must be a tuple");
    } else if (source_from(source, row, tables)) {
        return source;
    }
    source_free(source);
    return NULL;
}

void
source_free(struct source *source)
{
    Py_DECREF(source->row);
    PyMem_Free(source);
}
