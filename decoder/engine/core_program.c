/* Makes the programs of the Info column from what Python gives. */
#include "core_text.h"

static const char *const CODES[] = {
    "text", "count", "value", "choice", "preferred", "joined", "dated", "list", "message", "each", NULL,
};
static const char *const TESTS[] = {"always", "not-zero", "present", "above", "named", "written", NULL};

/* Returns the place of a word in a list; -1 with an exception if it is not there. */
static int
place_of(const char *const *words, const char *word)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    PyErr_Format(PyExc_ValueError, "no op or test %s", word);
    return -1;
}

static bool
set_place(uint8_t *place, const struct type *type, int number)
{
    if (number < 0 || number > MAX_NUMBER || (number && type->places[number] == 0)) {
        PyErr_SetString(PyExc_ValueError, "no such field");
        return false;
    }
    *place = number ? (uint8_t)(type->places[number] - 1) : 0;
    return true;
}

static bool
is_number(const struct field *field)
{
    return field->kind != STRING && field->kind != BYTES && field->kind != MESSAGE;
}

static bool
is_integer(const struct field *field)
{
    return is_number(field) && field->kind != DOUBLE && field->kind != FLOAT;
}

/* Returns true if the fields of an op are of the kinds that it reads. */
static bool
makes_sense(const struct op *op, const struct type *type)
{
    if (type->count == 0) {
        return op->code == PUT_TEXT && op->test == ALWAYS;
    }
    const struct field *field = &type->fields[op->field], *other = &type->fields[op->other];
    bool nested = field->kind == MESSAGE && op->program != NULL && op->program->type == field->inner;
    bool test_fits = op->test == NAMED ? is_integer(field) && op->names.dict != NULL
                                       : op->test != ABOVE || is_integer(field);
    if (!test_fits || (op->test == WRITTEN && op->code != PUT_MESSAGE)) {
        return false;
    }
    switch (op->code) {
    case PUT_VALUE: return field->kind != MESSAGE;
    case PUT_CHOICE: return is_number(field);
    case PUT_PREFERRED: return field->kind != MESSAGE && is_number(other) && !field->repeated && !other->repeated;
    case PUT_JOINED: return field->kind == STRING && is_integer(other) && op->names.dict != NULL;
    case PUT_DATED: return field->kind == STRING && is_number(other) && op->mapping != NULL;
    case PUT_LIST: return field->repeated && (field->kind == MESSAGE ? nested : op->program == NULL);
    case PUT_MESSAGE: return nested;
    case PUT_EACH: return nested && field->repeated;
    default: return true;
    }
}

/* Reads an OpRow of _core.pyi. */
static bool
op_from(struct op *op, PyObject *row, const struct type *type, const struct text_lines *lines)
{
    const char *code, *test;
    int begins, counts, number, other;
    long long limit;
    PyObject *text, *other_text, *names, *mapping, *program;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "an op must be a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(row, "pssiiLSSOOOp:op", &begins, &code, &test, &number, &other, &limit, &text, &other_text,
                          &names, &mapping, &program, &counts)) {
        return false;
    }
    int code_place = place_of(CODES, code), test_place = code_place < 0 ? -1 : place_of(TESTS, test);
    if (test_place < 0 || !set_place(&op->field, type, number) || !set_place(&op->other, type, other)) {
        return false;
    }
    op->code = (enum op_code)code_place;
    op->test = (enum op_test)test_place;
    op->begins = begins;
    op->counts = counts;
    op->limit = limit;
    op->text = span_of(text);
    op->other_text = span_of(other_text);
    op->mapping = mapping == Py_None ? NULL : mapping;
    if (names != Py_None && !names_from(&op->names, names)) {
        return false;
    }
    if (program != Py_None) {
        Py_ssize_t index = PyLong_AsSsize_t(program);
        if (PyErr_Occurred() || index < 0 || index >= lines->count) {
            PyErr_SetString(PyExc_IndexError, "no such program");
            return false;
        }
        op->program = lines->programs[index];
    }
    if (!makes_sense(op, type)) {
        PyErr_SetString(PyExc_ValueError, "an op does not fit its fields");
        return false;
    }
    return true;
}

static void
program_free(struct program *program)
{
    for (Py_ssize_t i = 0; program->ops != NULL && i < program->count; i++) {
        names_free(&program->ops[i].names);
    }
    PyMem_Free(program->ops);
    Py_XDECREF(program->rows);
    PyMem_Free(program);
}

static struct program *
program_from(const struct type *type, PyObject *rows, const struct text_lines *lines)
{
    struct program *program = PyMem_Calloc(1, sizeof *program);
    if (program == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    Py_INCREF(rows);
    program->rows = rows;
    program->type = type;
    program->count = PyTuple_Size(rows);
    program->ops = PyMem_Calloc((size_t)program->count + 1, sizeof *program->ops);
    if (program->ops == NULL) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < program->count && !PyErr_Occurred(); i++) {
        if (op_from(&program->ops[i], PyTuple_GetItem(rows, i), type, lines) && i == 0) {
            program->ops[i].begins = true;
        }
    }
    if (PyErr_Occurred()) {
        program_free(program);
        return NULL;
    }
    return program;
}

PyObject *
add_program(PyObject *self, PyObject *arguments)
{
    struct text_lines *lines = (struct text_lines *)self;
    Py_ssize_t index;
    PyObject *rows;
    if (!PyArg_ParseTuple(arguments, "nO!:add_program", &index, &PyTuple_Type, &rows)) {
        return NULL;
    }
    const struct type *type = type_at(&lines->renderer.types, index);
    struct program *program = type == NULL ? NULL : program_from(type, rows, lines);
    if (program == NULL) {
        return NULL;
    }
    struct program **grown = PyMem_Realloc(lines->programs, ((size_t)lines->count + 1) * sizeof *grown);
    if (grown == NULL) {
        program_free(program);
        return PyErr_NoMemory();
    }
    lines->programs = grown;
    lines->programs[lines->count] = program;
    return PyLong_FromSsize_t(lines->count++);
}

void
programs_free(struct text_lines *lines)
{
    for (Py_ssize_t i = 0; i < lines->count; i++) {
        program_free(lines->programs[i]);
    }
    PyMem_Free(lines->programs);
}

int
programs_traverse(const struct text_lines *lines, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < lines->count; i++) {
        Py_VISIT(lines->programs[i]->rows);
    }
    return 0;
}
