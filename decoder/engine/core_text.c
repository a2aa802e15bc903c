/* Writes records as lines of text; decoder/output/text.py and info.py are the definition. */
#include "core_text.h"

#include "core_numbers.h"

#define MAX_ITEMS 3     /* shown of a list, as info.py does */
#define MAX_EACH 8      /* messages shown of a list that is shown in full, likewise */
#define MAX_WORD 80     /* characters of a text that may stand without quotes */
#define NUMBER_WIDTH 5  /* columns, as text.py has them */
#define KIND_WIDTH 8
#define SERIAL_WIDTH 6
#define LATENCY_WIDTH 7
#define DOUBLE_DIGITS 15
#define FLOAT_DIGITS 7

static bool
is_word(struct span text)
{
    for (; text.at < text.end; text.at++) {
        uint8_t byte = *text.at;
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        if (!letter && (byte == 0 || byte >= 0x80 || strchr("_.+:/@-", byte) == NULL)) {
            return false;
        }
    }
    return true;
}

/* Puts a text as decoder.formatting.escape.quote does; most are one plain word. */
static bool
put_quoted(const struct text_lines *lines, struct buffer *out, struct span text)
{
    size_t size = span_size(text);
    if (size > 0 && size <= MAX_WORD && is_word(text)) {
        put_bytes(out, text.at, size);
        return true;
    }
    PyObject *key = PyBytes_FromStringAndSize((const char *)text.at, (Py_ssize_t)size);
    return put_mapped(out, lines->quote, key);
}

static bool
put_value(const struct text_lines *lines, struct buffer *out, const struct field *field, const struct value *value)
{
    if (field->texts != NULL) {
        return put_mapped(out, field->texts, number_object(field->kind, value->number));
    }
    int64_t number = integer_of(field->kind, value->number);
    struct span name = name_of(&field->names, number);
    if (name.at != NULL) {
        put_bytes(out, name.at, span_size(name));
        return true;
    }
    switch (field->kind) {
    case STRING: return put_quoted(lines, out, value->bytes);
    case BYTES:
        put_char(out, '(');
        put_unsigned(out, span_size(value->bytes));
        put_literal(out, " bytes)");
        return true;
    case DOUBLE: return put_rounded_double(out, double_of(value->number), DOUBLE_DIGITS);
    case FLOAT: return put_rounded_double(out, float_of(value->number), FLOAT_DIGITS);
    case UINT64: put_unsigned(out, value->number); return true;
    case BOOL:
        if (number) {
            put_literal(out, "true");
        } else {
            put_literal(out, "false");
        }
        return true;
    default: put_signed(out, number); return true;
    }
}

static bool
is_not_zero(const struct field *field, const struct slot *slot)
{
    if (field->repeated || field->kind == MESSAGE) {
        return slot->items > 0;
    }
    switch (field->kind) {
    case STRING:
    case BYTES: return slot->first.bytes.at < slot->first.bytes.end;
    case DOUBLE: return double_of(slot->first.number) != 0;
    case FLOAT: return float_of(slot->first.number) != 0;
    default: return integer_of(field->kind, slot->first.number) != 0;
    }
}

/* Returns true if the test of an op holds; NAMED puts the name, WRITTEN is looked at later. */
static bool
holds(struct buffer *out, const struct op *op, const struct field *field, const struct slot *slot)
{
    int64_t number = integer_of(field->kind, slot->first.number);
    switch (op->test) {
    case NOT_ZERO: return is_not_zero(field, slot);
    case PRESENT: return slot->items > 0;
    case ABOVE: return number > op->limit;
    case NAMED: {
        struct span name = name_of(&op->names, number);
        put_bytes(out, name.at, span_size(name));
        return name.at != NULL;
    }
    default: return true;
    }
}

static void
put_more(struct buffer *out, uint32_t items, uint32_t shown)
{
    if (items > shown) {
        put_literal(out, " (+");
        put_unsigned(out, items - shown);
        put_literal(out, " more)");
    }
}

/* Puts the first items of a list, with a separator between them. */
static bool
put_items(struct text_lines *lines, struct buffer *out, const struct op *op, const struct field *field,
          const struct slot *slot)
{
    uint32_t most = op->code == PUT_EACH ? MAX_EACH : MAX_ITEMS;
    struct items items = items_of(field, slot);
    for (uint32_t i = 0; i < slot->items && i < most; i++) {
        struct value value;
        if (i) {
            put_char(out, op->code == PUT_EACH ? ';' : ',');
        }
        if (!next_item(&items, &value)) {
            return false;
        }
        if (!(op->program != NULL ? run_program(lines, out, op->program, value.bytes)
                                  : put_value(lines, out, field, &value))) {
            return false;
        }
    }
    put_more(out, slot->items, most);
    return true;
}

/* Puts a message by its program.  With a text like " name(" the words of the message, of which each begins with a space,
   stand in brackets; without words there is nothing. */
static bool
put_message(struct text_lines *lines, struct buffer *out, const struct op *op, const struct slot *slot, bool *written)
{
    size_t start = out->length;
    if (!run_program(lines, out, op->program, slot->first.bytes)) {
        return false;
    }
    *written = out->length > start;
    size_t before = span_size(op->text);
    if (before && *written && buffer_reserve(out, before + 1) != NULL) {
        char *words = out->bytes + start;
        size_t size = out->length - start - 1; /* without the first space */
        memmove(words + before, words + 1, size);
        memcpy(words, op->text.at, before);
        words[before + size] = ')';
        out->length = start + before + size + 1;
    }
    if (op->counts) {
        put_more(out, slot->items, 1);
    }
    return true;
}

static bool
put_joined(struct text_lines *lines, struct buffer *out, const struct op *op, const struct type *type,
           const struct slot *slots)
{
    int64_t number = integer_of(type->fields[op->other].kind, slots[op->other].first.number);
    if (number) {
        struct span name = name_of(&op->names, number);
        if (name.at != NULL) {
            put_bytes(out, name.at, span_size(name));
        } else {
            put_signed(out, number);
        }
        put_char(out, '.');
    }
    return put_quoted(lines, out, slots[op->field].first.bytes);
}

static bool
put_dated(struct buffer *out, const struct op *op, const struct type *type, const struct slot *slots)
{
    struct span text = slots[op->field].first.bytes;
    PyObject *stamp = number_object(type->fields[op->other].kind, slots[op->other].first.number);
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)text.at, (Py_ssize_t)span_size(text));
    PyObject *key = stamp == NULL || bytes == NULL ? NULL : PyTuple_Pack(2, bytes, stamp);
    Py_XDECREF(stamp);
    Py_XDECREF(bytes);
    return put_mapped(out, op->mapping, key);
}

/* Executes an op whose test holds.  Sets `written` to false if it was a message that put nothing. */
static bool
execute(struct text_lines *lines, struct buffer *out, const struct op *op, const struct type *type,
        const struct slot *slots, bool *written)
{
    const struct field *field = &type->fields[op->field];
    const struct slot *slot = &slots[op->field];
    switch (op->code) {
    case PUT_TEXT: put_bytes(out, op->text.at, span_size(op->text)); return true;
    case PUT_COUNT: put_unsigned(out, slot->items); return true;
    case PUT_VALUE: return put_value(lines, out, field, &slot->first);
    case PUT_CHOICE: {
        struct span text = is_not_zero(field, slot) ? op->text : op->other_text;
        put_bytes(out, text.at, span_size(text));
        return true;
    }
    case PUT_PREFERRED:
        if (is_not_zero(&type->fields[op->other], &slots[op->other])) {
            return put_value(lines, out, &type->fields[op->other], &slots[op->other].first);
        }
        return put_value(lines, out, field, &slot->first);
    case PUT_JOINED: return put_joined(lines, out, op, type, slots);
    case PUT_DATED: return put_dated(out, op, type, slots);
    case PUT_LIST:
    case PUT_EACH: return put_items(lines, out, op, field, slot);
    case PUT_MESSAGE: return put_message(lines, out, op, slot, written);
    }
    return false;
}

bool
run_program(struct text_lines *lines, struct buffer *out, const struct program *program, struct span bytes)
{
    struct slot slots[MAX_FIELDS];
    const struct type *type = program->type;
    bool shown = true;
    size_t group = 0; /* where the text of the group begins */
    if (!find_fields(type, bytes, slots)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < program->count; i++) {
        const struct op *op = &program->ops[i];
        if (op->begins) {
            shown = true;
            group = out->length;
        }
        if (!shown) {
            continue;
        }
        bool written = true;
        bool preferred = op->code == PUT_PREFERRED && is_not_zero(&type->fields[op->other], &slots[op->other]);
        shown = op->test == ALWAYS || preferred || holds(out, op, &type->fields[op->field], &slots[op->field]);
        if (shown && !execute(lines, out, op, type, slots, &written)) {
            return false;
        }
        shown = shown && (written || op->test != WRITTEN);
        if (!shown) {
            out->length = group;
        }
    }
    return true;
}

/* Puts spaces until the characters since `start` fill a width. */
static void
pad(struct buffer *out, size_t start, size_t width)
{
    while (!out->failed && out->length - start < width) {
        put_char(out, ' ');
    }
}

static bool
put_kind(struct buffer *out, PyObject *kind)
{
    Py_ssize_t size;
    const char *text = PyUnicode_Check(kind) ? PyUnicode_AsUTF8AndSize(kind, &size) : NULL;
    if (text == NULL) {
        PyErr_Clear();
        return false;
    }
    size_t start = out->length;
    put_bytes(out, text, (size_t)size);
    pad(out, start, KIND_WIDTH);
    put_literal(out, " #");
    return true;
}

/* Puts a latency as decoder.formatting.clock.latency_text does, with `micro` for µs. */
static bool
put_latency(struct buffer *out, int64_t nanoseconds, struct span micro)
{
    static const double sizes[] = {1e9, 1e6, 1e3};
    for (int i = 0; i < 3; i++) {
        double value = (double)nanoseconds / sizes[i];
        double positive = value < 0 ? -value : value;
        if (positive < 0.9995) {
            continue;
        }
        int digits = positive < 9.995 ? 2 : positive < 99.95 ? 1 : 0;
        char *text = PyOS_double_to_string(value, 'f', digits, 0, NULL);
        if (text == NULL) {
            return false;
        }
        put_bytes(out, text, strlen(text));
        PyMem_Free(text);
        put_char(out, ' ');
        if (i == 0) {
            put_char(out, 's');
        } else if (i == 1) {
            put_literal(out, "ms");
        } else {
            put_bytes(out, micro.at, span_size(micro));
        }
        return true;
    }
    put_signed(out, nanoseconds);
    put_literal(out, " ns");
    return true;
}

/* Puts retType, which is RET_OK, and the latency of a response. */
static bool
put_answer(struct page *page, const struct record *record)
{
    struct buffer *out = &page->out, *text = &page->body;
    struct span micro = bytes_at(record->flow, 3);
    PyObject *latency = record->values[LATENCY_NS];
    int64_t nanoseconds;
    size_t characters = 0;
    text->length = 0;
    if (micro.at == NULL) {
        return false;
    }
    if (latency != Py_None) {
        if (!read_integer(latency, &nanoseconds) || nanoseconds > (INT64_C(1) << 53) || nanoseconds < 0) {
            return false; /* no exact double */
        }
        if (!put_latency(text, nanoseconds, micro) || text->failed) {
            return false;
        }
    }
    for (size_t i = 0; i < text->length; i++) {
        characters += ((uint8_t)text->bytes[i] & 0xC0) != 0x80; /* of UTF-8 */
    }
    put_literal(out, " RET_OK ");
    for (; characters < LATENCY_WIDTH; characters++) {
        put_char(out, ' ');
    }
    put_bytes(out, text->bytes, text->length);
    return true;
}

/* Finds what the line shows of a body: nothing (`at` is NULL) of an answer without s2c.  Returns false if the body is not
   ordinary, or says that something failed. */
static bool
find_shown(const struct body *body, struct span bytes, struct span *shown)
{
    struct slot slots[MAX_FIELDS];
    if (!is_ordinary(body->type, bytes) || !find_fields(body->type, bytes, slots)) {
        return false;
    }
    *shown = bytes;
    if (body->ret_type != NULL && slots[body->ret_type - body->type->fields].first.number) {
        return false;
    }
    if (body->wrapper != NULL) {
        const struct slot *slot = &slots[body->wrapper - body->type->fields];
        *shown = slot->first.bytes;
        return slot->items > 0 || body->ret_type != NULL;
    }
    return true;
}

static bool
write_text(struct page *page, const struct record *record)
{
    struct text_lines *lines = (struct text_lines *)page->renderer;
    struct buffer *out = &page->out;
    const struct body *body = record->body;
    struct span place = bytes_at(record->flow, 2), shown;
    if (place.at == NULL || body->program < 0 || body->program >= lines->count || record->number < 0
        || !find_shown(body, record->plaintext, &shown)) {
        return false;
    }
    size_t digits = 1;
    for (int64_t rest = record->number; rest >= 10; rest /= 10) {
        digits++;
    }
    for (; digits < NUMBER_WIDTH; digits++) {
        put_char(out, ' ');
    }
    put_signed(out, record->number);
    put_char(out, ' ');
    if (!put_second(page, record->time_ns)) {
        return false;
    }
    put_char(out, '.');
    put_padded(out, (uint64_t)record->time_ns / 1000 % 1000000, 6);
    put_bytes(out, place.at, span_size(place));
    put_bytes(out, body->label.at, span_size(body->label));
    if (!put_kind(out, record->values[KIND])) {
        return false;
    }
    size_t start = out->length;
    put_signed(out, record->serial_no);
    pad(out, start, SERIAL_WIDTH);
    if (PyUnicode_CompareWithASCIIString(record->values[KIND], "response") == 0 && !put_answer(page, record)) {
        return false;
    }
    start = out->length;
    if (shown.at != NULL && !run_program(lines, out, lines->programs[body->program], shown)) {
        return false;
    }
    while (out->length == start && start > 0 && out->bytes[start - 1] == ' ') { /* nothing is shown: no spaces at the end */
        out->length = --start;
    }
    put_char(out, '\n');
    return true;
}

static PyObject *
text_lines_render(PyObject *self, PyObject *records)
{
    struct text_lines *lines = (struct text_lines *)self;
    if (lines->quote == NULL) {
        PyErr_SetString(PyExc_TypeError, "not initialized");
        return NULL;
    }
    return render(&lines->renderer, records, write_text);
}

static int
text_lines_init(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    struct text_lines *lines = (struct text_lines *)self;
    Py_ssize_t count = PyTuple_Size(arguments);
    PyObject *rest = PyTuple_GetSlice(arguments, 1, count);
    if (count < 1 || rest == NULL || renderer_init(self, rest, keywords) < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "quote is missing");
        }
        Py_XDECREF(rest);
        return -1;
    }
    Py_DECREF(rest);
    lines->quote = PyTuple_GetItem(arguments, 0);
    Py_INCREF(lines->quote);
    return 0;
}

static int
text_lines_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct text_lines *lines = (struct text_lines *)self;
    Py_VISIT(lines->quote);
    int stopped = programs_traverse(lines, visit, arg);
    return stopped ? stopped : renderer_traverse(self, visit, arg);
}

static int
text_lines_clear(PyObject *self)
{
    Py_CLEAR(((struct text_lines *)self)->quote);
    return renderer_clear(self);
}

static void
text_lines_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(((struct text_lines *)self)->quote);
    programs_free((struct text_lines *)self);
    renderer_dealloc(self);
}

static PyMethodDef text_lines_methods[] = {
    {"add_type", add_type, METH_O, NULL},
    {"add_program", add_program, METH_VARARGS, NULL},
    {"add_body", add_body, METH_O, NULL},
    {"render", text_lines_render, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot text_lines_slots[] = {
    {Py_tp_doc, "Writes records as lines of text; see _core.pyi."},
    {Py_tp_init, text_lines_init},
    {Py_tp_methods, text_lines_methods},
    {Py_tp_traverse, text_lines_traverse},
    {Py_tp_clear, text_lines_clear},
    {Py_tp_dealloc, text_lines_dealloc},
    {0, NULL},
};

PyType_Spec text_lines_spec = {
    "decoder._core.TextLines", sizeof(struct text_lines), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    text_lines_slots,
};
