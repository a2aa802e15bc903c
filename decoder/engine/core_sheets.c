/* Keeps columns that grow row by row. */
#include "core_sheets.h"

#define FIRST_ROWS 1024 /* room that a sheet begins with */
#define MAX_ROWS (1u << 28) /* so that sizes in bytes, and texts of that many rows, fit in 32 bits */
#define MAX_TEXT (1u << 30) /* bytes of the texts of one column, whose ends are signed integers of 32 bits */

static const char LETTERS[] = "?48se"; /* in the order of enum store */

struct sheet *
sheet_new(const char *letters)
{
    size_t count = strlen(letters);
    struct sheet *sheet = count > MAX_COLUMNS ? NULL : PyMem_Calloc(1, sizeof *sheet);
    if (sheet == NULL || (sheet->columns = PyMem_Calloc(count + 1, sizeof *sheet->columns)) == NULL) {
        PyMem_Free(sheet);
        PyErr_NoMemory();
        return NULL;
    }
    for (; sheet->count < (int)count; sheet->count++) {
        const char *letter = strchr(LETTERS, letters[sheet->count]);
        if (letter == NULL) {
            PyErr_SetString(PyExc_ValueError, "no such store");
            sheet_free(sheet);
            return NULL;
        }
        struct column *column = &sheet->columns[sheet->count];
        column->store = (enum store)(letter - LETTERS);
        if (column->store == CODES && (column->names = PyList_New(0)) == NULL) {
            sheet_free(sheet);
            return NULL;
        }
    }
    return sheet;
}

void
sheet_free(struct sheet *sheet)
{
    for (int i = 0; i < sheet->count; i++) {
        buffer_free(&sheet->columns[i].valid);
        buffer_free(&sheet->columns[i].cells);
        buffer_free(&sheet->columns[i].text);
        Py_XDECREF(sheet->columns[i].names);
    }
    PyMem_Free(sheet->columns);
    PyMem_Free(sheet);
}

int
sheet_traverse(const struct sheet *sheet, visitproc visit, void *arg)
{
    for (int i = 0; i < sheet->count; i++) {
        Py_VISIT(sheet->columns[i].names);
    }
    return 0;
}

/* Returns the bytes that the cells of so many rows take. */
static size_t
cells_size(enum store store, uint32_t rows)
{
    switch (store) {
    case BITS: return (rows + 7) / 8;
    case EIGHT_BYTES: return (size_t)rows * 8;
    case TEXTS: return ((size_t)rows + 1) * 4;
    default: return (size_t)rows * 4;
    }
}

/* Appends zeros until the buffer has `size` bytes. */
static bool
fill(struct buffer *buffer, size_t size)
{
    char *at = size > buffer->length ? buffer_reserve(buffer, size - buffer->length) : NULL;
    if (at != NULL) {
        memset(at, 0, size - buffer->length);
        buffer->length = size;
    }
    return !buffer->failed;
}

bool
sheet_begin_row(struct sheet *sheet)
{
    if (sheet->rows < sheet->capacity) {
        return true;
    }
    uint32_t capacity = sheet->capacity ? sheet->capacity * 2 : FIRST_ROWS;
    bool well = capacity <= MAX_ROWS;
    for (int i = 0; i < sheet->count && well; i++) {
        struct column *column = &sheet->columns[i];
        well = fill(&column->valid, (capacity + 7) / 8) && fill(&column->cells, cells_size(column->store, capacity));
    }
    if (!well) {
        PyErr_NoMemory();
        return false;
    }
    sheet->capacity = capacity;
    return true;
}

static void
set_end(struct column *column, uint32_t row)
{
    uint32_t end = (uint32_t)column->text.length;
    memcpy(column->cells.bytes + ((size_t)row + 1) * 4, &end, sizeof end);
}

static uint32_t
end_of(const struct column *column, uint32_t row)
{
    uint32_t end;
    memcpy(&end, column->cells.bytes + ((size_t)row + 1) * 4, sizeof end);
    return end;
}

static uint32_t
start_of(const struct column *column, uint32_t row)
{
    return row ? end_of(column, row - 1) : 0;
}

void
sheet_end_row(struct sheet *sheet)
{
    for (int i = 0; i < sheet->count; i++) {
        if (sheet->columns[i].store == TEXTS) {
            set_end(&sheet->columns[i], sheet->rows);
        }
    }
    sheet->rows++;
}

/* Sets the bits from `from` up to `to` to 0. */
static void
clear_bits(char *bytes, uint32_t from, uint32_t to)
{
    for (; from < to && from % 8; from++) {
        bytes[from / 8] = (char)(bytes[from / 8] & ~(1 << from % 8));
    }
    if (from < to) {
        memset(bytes + from / 8, 0, (to + 7) / 8 - from / 8);
    }
}

void
sheet_cut(struct sheet *sheet, uint32_t rows)
{
    uint32_t end = sheet->rows < sheet->capacity ? sheet->rows + 1 : sheet->rows;
    for (int i = 0; i < sheet->count && sheet->capacity; i++) {
        struct column *column = &sheet->columns[i];
        clear_bits(column->valid.bytes, rows, end);
        if (column->store == TEXTS) {
            column->text.length = start_of(column, rows);
        } else if (column->store == BITS) {
            clear_bits(column->cells.bytes, rows, end);
        } else {
            size_t from = cells_size(column->store, rows);
            memset(column->cells.bytes + from, 0, cells_size(column->store, end) - from);
        }
    }
    sheet->rows = rows;
}

bool
set_text(struct sheet *sheet, int place, struct span text)
{
    struct column *column = &sheet->columns[place];
    put_bytes(&column->text, text.at, span_size(text));
    if (column->text.failed || column->text.length > MAX_TEXT) {
        PyErr_NoMemory();
        return false;
    }
    mark(column, sheet->rows);
    set_end(column, sheet->rows);
    return true;
}

int32_t
code_of(struct sheet *sheet, int place, struct span name)
{
    PyObject *names = sheet->columns[place].names;
    Py_ssize_t count = PyList_Size(names);
    for (Py_ssize_t i = 0; i < count; i++) {
        struct span known = span_of(PyList_GetItem(names, i));
        if (span_size(known) == span_size(name) && memcmp(known.at, name.at, span_size(name)) == 0) {
            return (int32_t)i;
        }
    }
    PyObject *added = PyBytes_FromStringAndSize((const char *)name.at, (Py_ssize_t)span_size(name));
    int failed = added == NULL ? -1 : PyList_Append(names, added);
    Py_XDECREF(added);
    return failed ? -1 : (int32_t)count;
}

struct span
text_at(const struct sheet *sheet, int place, uint32_t row)
{
    const struct column *column = &sheet->columns[place];
    if (!is_set(column, row)) {
        return (struct span){NULL, NULL};
    }
    const uint8_t *text = (const uint8_t *)column->text.bytes;
    static const uint8_t nothing[1] = {0};
    if (text == NULL) { /* empty texts only */
        return (struct span){nothing, nothing};
    }
    return (struct span){text + start_of(column, row), text + end_of(column, row)};
}

static bool
all_set(const struct column *column, uint32_t rows)
{
    for (uint32_t i = 0; i < rows / 8; i++) {
        if ((uint8_t)column->valid.bytes[i] != 0xFF) {
            return false;
        }
    }
    for (uint32_t row = rows / 8 * 8; row < rows; row++) {
        if (!is_set(column, row)) {
            return false;
        }
    }
    return true;
}

static PyObject *
bytes_or_none(const char *bytes, size_t size, bool there)
{
    if (!there) {
        Py_INCREF(Py_None);
        return Py_None;
    }
    return PyBytes_FromStringAndSize(bytes, (Py_ssize_t)size);
}

/* Returns (valid, cells, text, names) of a column. */
static PyObject *
column_take(struct column *column, uint32_t rows)
{
    PyObject *names = column->names == NULL ? Py_None : column->names;
    PyObject *valid = bytes_or_none(column->valid.bytes, (rows + 7) / 8, !all_set(column, rows));
    PyObject *cells = bytes_or_none(column->cells.bytes, cells_size(column->store, rows), true);
    PyObject *text = bytes_or_none(column->text.bytes, column->text.length, column->store == TEXTS);
    PyObject *taken = valid == NULL || cells == NULL || text == NULL ? NULL : PyTuple_Pack(4, valid, cells, text, names);
    Py_XDECREF(valid);
    Py_XDECREF(cells);
    Py_XDECREF(text);
    if (taken != NULL && column->names != NULL) {
        Py_DECREF(column->names);
        column->names = PyList_New(0);
        if (column->names == NULL) {
            Py_DECREF(taken);
            return NULL;
        }
    }
    return taken;
}

PyObject *
sheet_take(struct sheet *sheet)
{
    PyObject *columns = sheet->capacity || sheet_begin_row(sheet) ? PyList_New(0) : NULL;
    for (int i = 0; i < sheet->count && columns != NULL; i++) {
        PyObject *taken = column_take(&sheet->columns[i], sheet->rows);
        if (taken == NULL || PyList_Append(columns, taken) < 0) {
            Py_CLEAR(columns);
        }
        Py_XDECREF(taken);
    }
    sheet_cut(sheet, 0);
    sheet->taken++;
    return columns;
}
