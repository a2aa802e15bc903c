/* Makes readers from what Python gives, and checks that every step fits its fields and columns. */
#include "core_readers.h"

static const char *const CODE_NAMES[] = {
    "value",  "seconds", "percent", "either", "code",  "trade-code", "split",  "present",
    "inside", "empty",   "pass",    "fixed",  "item",  "parent",     "stamp",  NULL,
};

/* What a reader is made of. */
struct making {
    struct reader *reader;
    struct reader *const *readers; /* that there are */
    Py_ssize_t count;
};

static bool
refuse(const char *why)
{
    PyErr_SetString(PyExc_ValueError, why);
    return false;
}

static bool
find_field(const struct type *type, int number, const struct field **field, uint8_t *place)
{
    if (number == 0) {
        return true;
    }
    if (number < 0 || number > MAX_NUMBER || type->places[number] == 0) {
        return refuse("no such field");
    }
    *place = (uint8_t)(type->places[number] - 1);
    *field = &type->fields[*place];
    return true;
}

static bool
set_code(struct step *step, const char *name)
{
    for (int i = 0; CODE_NAMES[i] != NULL; i++) {
        if (strcmp(CODE_NAMES[i], name) == 0) {
            step->code = (enum step_code)i;
            return true;
        }
    }
    return refuse("no such step");
}

static bool
has_store(const struct sheet *sheet, int column, enum store store)
{
    return column >= 0 && column < sheet->count && sheet->columns[column].store == store;
}

static bool
is_one(const struct field *field, enum kind kind)
{
    return field != NULL && !field->repeated && field->kind == kind;
}

static bool
is_integer(const struct field *field)
{
    return field != NULL && !field->repeated && field->kind != DOUBLE && field->kind != FLOAT && field->kind != STRING
           && field->kind != BYTES && field->kind != MESSAGE;
}

static bool
takes_names(const struct step *step, const struct sheet *sheet)
{
    return step->names.dict != NULL
           && (has_store(sheet, step->column, TEXTS) || has_store(sheet, step->column, CODES));
}

static bool
value_fits(const struct step *step, const struct sheet *sheet)
{
    const struct field *field = step->field;
    if (is_one(field, STRING)) {
        return has_store(sheet, step->column, TEXTS);
    }
    if (is_one(field, DOUBLE)) {
        return has_store(sheet, step->column, EIGHT_BYTES);
    }
    if (!is_integer(field)) {
        return false;
    }
    if (step->names.dict != NULL) {
        return takes_names(step, sheet);
    }
    bool wide = field->kind == INT64 || field->kind == UINT64;
    return has_store(sheet, step->column, field->kind == BOOL ? BITS : wide ? EIGHT_BYTES : FOUR_BYTES);
}

static bool
code_fits(const struct step *step, const struct sheet *sheet)
{
    const struct type *inner = is_one(step->field, MESSAGE) ? step->field->inner : NULL;
    return inner != NULL && inner->count == 2 && is_integer(&inner->fields[0]) && is_one(&inner->fields[1], STRING)
           && step->names.dict != NULL && has_store(sheet, step->column, TEXTS);
}

static bool
either_fits(const struct step *step, const struct sheet *sheet)
{
    return (is_one(step->field, DOUBLE) || is_integer(step->field))
           && (is_one(step->other, DOUBLE) || is_integer(step->other)) && has_store(sheet, step->column, EIGHT_BYTES);
}

static bool
stamp_fits(const struct step *step, const struct reader *reader)
{
    const struct sheet *sheet = reader->sheet, *holder = step->around ? reader->around : sheet;
    return has_store(sheet, step->column, EIGHT_BYTES) && has_store(sheet, step->other_column, TEXTS)
           && (step->date_column < 0 || has_store(sheet, step->date_column, TEXTS))
           && holder != NULL && has_store(holder, step->code_column, TEXTS);
}

static bool
step_fits(const struct step *step, const struct reader *reader)
{
    const struct sheet *sheet = reader->sheet;
    switch (step->code) {
    case STEP_VALUE: return value_fits(step, sheet);
    case STEP_SECONDS:
    case STEP_PERCENT: return is_one(step->field, DOUBLE) && has_store(sheet, step->column, EIGHT_BYTES);
    case STEP_EITHER: return either_fits(step, sheet);
    case STEP_CODE: return code_fits(step, sheet);
    case STEP_TRADE_CODE:
        return is_one(step->field, STRING) && is_integer(step->other) && step->names.dict != NULL
               && has_store(sheet, step->column, TEXTS);
    case STEP_SPLIT:
        return is_one(step->field, STRING) && has_store(sheet, step->column, TEXTS)
               && has_store(sheet, step->other_column, TEXTS);
    case STEP_PRESENT: return step->field != NULL && has_store(sheet, step->column, BITS);
    case STEP_INSIDE:
        return is_one(step->field, MESSAGE) && step->inside != NULL && step->inside->type == step->field->inner
               && step->inside->sheet == sheet && step->inside->around == reader->around && step->column < 0;
    case STEP_EMPTY:
    case STEP_PASS: return step->field != NULL && step->column < 0;
    case STEP_FIXED: return takes_names(step, sheet) && name_place(&step->names, 0) >= 0;
    case STEP_ITEM: return has_store(sheet, step->column, FOUR_BYTES);
    case STEP_PARENT: return reader->around != NULL && has_store(sheet, step->column, FOUR_BYTES);
    case STEP_STAMP: return stamp_fits(step, reader);
    }
    return false;
}

static bool
set_names(struct step *step, PyObject *names)
{
    if (names == Py_None) {
        return true;
    }
    if (!names_from(&step->names, names)) {
        return false;
    }
    size_t size = ((size_t)step->names.count + 1) * sizeof *step->codes;
    step->codes = PyMem_Malloc(size);
    if (step->codes == NULL) {
        PyErr_NoMemory();
        return false;
    }
    memset(step->codes, 0xFF, size);
    return true;
}

/* Reads a StepRow of _core.pyi. */
static bool
step_from(struct step *step, PyObject *row, const struct making *making)
{
    const char *code;
    int number, other, around;
    PyObject *names, *inside;
    if (!PyTuple_Check(row)) {
        return refuse("a step must be a tuple");
    }
    if (!PyArg_ParseTuple(row, "siiiiiipIOO:step", &code, &number, &other, &step->column, &step->other_column,
                          &step->date_column, &step->code_column, &around, &step->plus, &names, &inside)) {
        return false;
    }
    const struct type *type = making->reader->type;
    step->around = around;
    if (!set_code(step, code) || !find_field(type, number, &step->field, &step->place)
        || !find_field(type, other, &step->other, &step->other_place) || !set_names(step, names)) {
        return false;
    }
    if (inside != Py_None) {
        Py_ssize_t index = PyLong_AsSsize_t(inside);
        if (PyErr_Occurred() || index < 0 || index >= making->count) {
            return refuse("no such reader");
        }
        step->inside = making->readers[index];
    }
    return step_fits(step, making->reader) || refuse("a step does not fit its field and column");
}

/* Lists the messages in the type that no step reads. */
static void
list_unread(struct reader *reader)
{
    for (int place = 0; place < reader->type->count; place++) {
        bool unread = reader->type->fields[place].kind == MESSAGE;
        for (int i = 0; i < reader->count && unread; i++) {
            const struct step *step = &reader->steps[i];
            unread = step->code == STEP_PRESENT || step->field != &reader->type->fields[place];
        }
        if (unread) {
            reader->unread[reader->unread_count++] = (uint8_t)place;
        }
    }
}

struct reader *
reader_new(const struct type *type, PyObject *rows, const struct sheet *sheet, const struct sheet *around,
           struct reader *const *readers, Py_ssize_t count)
{
    Py_ssize_t steps = PyTuple_Check(rows) ? PyTuple_Size(rows) : -1;
    if (steps < 0 || steps > MAX_STEPS) {
        refuse("steps must be a tuple, and not too long");
        return NULL;
    }
    struct reader *reader = PyMem_Calloc(1, sizeof *reader);
    if (reader == NULL || (reader->steps = PyMem_Calloc((size_t)steps + 1, sizeof *reader->steps)) == NULL) {
        PyMem_Free(reader);
        PyErr_NoMemory();
        return NULL;
    }
    struct making making = {reader, readers, count};
    reader->type = type;
    reader->sheet = sheet;
    reader->around = around;
    while (reader->count < steps) {
        struct step *step = &reader->steps[reader->count++]; /* counted first, so that reader_free sees it */
        if (!step_from(step, PyTuple_GetItem(rows, reader->count - 1), &making)) {
            reader_free(reader);
            return NULL;
        }
    }
    list_unread(reader);
    return reader;
}

void
reader_free(struct reader *reader)
{
    for (int i = 0; i < reader->count; i++) {
        names_free(&reader->steps[i].names);
        PyMem_Free(reader->steps[i].codes);
    }
    PyMem_Free(reader->steps);
    PyMem_Free(reader);
}
