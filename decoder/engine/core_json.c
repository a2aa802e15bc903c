/* Writes records as JSON Lines; decoder/output/jsonl.py is the definition. */
#include "core_lines.h"

#include "core_numbers.h"

struct json_lines {
    struct renderer renderer;
    PyObject *write_double; /* orjson.dumps */
};

/* State of one line: what stands in the body and is needed before it. */
struct line {
    struct page *page;
    struct buffer *out;    /* of the body */
    const struct body *body;
    PyObject *write_double;
    bool has_ret_type, has_packet_id;
    int64_t ret_type;
    size_t packet_start, packet_end; /* of its JSON in `out` */
};

static bool put_message(struct line *line, const struct type *type, struct span bytes);

static bool
put_integer(struct buffer *out, const struct field *field, uint64_t sent)
{
    int64_t number = integer_of(field->kind, sent);
    if (field->texts != NULL) {
        return put_mapped(out, field->texts, number_object(field->kind, sent));
    }
    if (field->names.dict != NULL) {
        struct span name = name_of(&field->names, number);
        put_bytes(out, name.at, span_size(name));
        return name.at != NULL;
    }
    switch (field->kind) {
    case BOOL:
        if (number) {
            put_literal(out, "true");
        } else {
            put_literal(out, "false");
        }
        return true;
    case INT64:
    case UINT64:
        put_char(out, '"');
        if (field->kind == INT64) {
            put_signed(out, number);
        } else {
            put_unsigned(out, (uint64_t)number);
        }
        put_char(out, '"');
        return true;
    default: put_signed(out, number); return true;
    }
}

static bool
put_value(struct line *line, const struct field *field, const struct value *value)
{
    struct buffer *out = line->out;
    if (field->fixed.at != NULL) {
        put_bytes(out, field->fixed.at, span_size(field->fixed));
        return field->kind != MESSAGE || is_ordinary(field->inner, value->bytes);
    }
    switch (field->kind) {
    case MESSAGE: return put_message(line, field->inner, value->bytes);
    case STRING: put_json_string(out, value->bytes); return true;
    case BYTES:
        put_char(out, '"');
        put_base64(out, value->bytes);
        put_char(out, '"');
        return true;
    case DOUBLE: {
        double number = double_of(value->number);
        return number - number == 0 && put_shortest_double(out, number, line->write_double);
    }
    case FLOAT: {
        float number = float_of(value->number);
        return number - number == 0 && put_shortest_float(out, number, line->write_double);
    }
    default: return put_integer(out, field, value->number);
    }
}

static bool
put_list(struct line *line, const struct field *field, const struct slot *slot)
{
    struct items items = items_of(field, slot);
    for (uint32_t i = 0; i < slot->items; i++) {
        struct value value;
        put_char(line->out, i ? ',' : '[');
        if (!next_item(&items, &value) || !put_value(line, field, &value)) {
            return false;
        }
    }
    put_char(line->out, ']');
    return true;
}

static bool
put_message(struct line *line, const struct type *type, struct span bytes)
{
    struct slot slots[MAX_FIELDS];
    char before = '{';
    if (!find_fields(type, bytes, slots)) {
        return false;
    }
    for (int i = 0; i < type->count; i++) {
        const struct field *field = &type->fields[i];
        if (slots[i].items == 0) {
            continue;
        }
        put_char(line->out, before);
        before = ',';
        put_bytes(line->out, field->key.at, span_size(field->key));
        size_t start = line->out->length;
        if (!(field->repeated ? put_list(line, field, &slots[i]) : put_value(line, field, &slots[i].first))) {
            return false;
        }
        if (field == line->body->ret_type) {
            line->has_ret_type = true;
            line->ret_type = integer_of(field->kind, slots[i].first.number);
        } else if (field == line->body->packet_id) {
            line->has_packet_id = true;
            line->packet_start = start;
            line->packet_end = line->out->length;
        }
    }
    if (before == '{') {
        put_char(line->out, before);
    }
    put_char(line->out, '}');
    return true;
}

/* Puts a text or null; false for anything else. */
static bool
put_text(struct buffer *out, PyObject *text)
{
    if (text == Py_None) {
        put_literal(out, "null");
        return true;
    }
    Py_ssize_t size;
    const char *bytes = PyUnicode_Check(text) ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    if (bytes == NULL) {
        PyErr_Clear(); /* a text with unpaired surrogates */
        return false;
    }
    put_json_string(out, (struct span){(const uint8_t *)bytes, (const uint8_t *)bytes + size});
    return true;
}

static bool
put_number(struct buffer *out, PyObject *number)
{
    int64_t value;
    if (number == Py_None) {
        put_literal(out, "null");
        return true;
    }
    if (!read_integer(number, &value)) {
        return false;
    }
    put_signed(out, value);
    return true;
}

static bool
put_frames(struct buffer *out, PyObject *frames)
{
    if (!PyTuple_Check(frames)) {
        return false;
    }
    Py_ssize_t count = PyTuple_Size(frames);
    put_char(out, '[');
    for (Py_ssize_t i = 0; i < count; i++) {
        int64_t number;
        if (!read_integer(PyTuple_GetItem(frames, i), &number)) {
            return false;
        }
        if (i) {
            put_char(out, ',');
        }
        put_signed(out, number);
    }
    put_char(out, ']');
    return true;
}

static bool
put_milliseconds(struct line *line, struct buffer *out, PyObject *nanoseconds)
{
    int64_t value;
    if (nanoseconds == Py_None) {
        put_literal(out, "null");
        return true;
    }
    if (!read_integer(nanoseconds, &value) || value > (INT64_C(1) << 53) || value < -(INT64_C(1) << 53)) {
        return false; /* no exact double, so that the quotient could differ from Python's */
    }
    return put_shortest_double(out, (double)value / 1e6, line->write_double);
}

/* Puts the keys of the record that do not depend on the body, up to reason. */
static bool
put_head(struct line *line, const struct record *record)
{
    struct buffer *out = &line->page->out;
    PyObject *const *values = record->values;
    struct span place = bytes_at(record->flow, 2), ends = bytes_at(record->flow, 3);
    if (place.at == NULL || ends.at == NULL) {
        return false;
    }
    put_literal(out, "{\"number\":");
    put_signed(out, record->number);
    put_literal(out, ",\"frames\":");
    if (!put_frames(out, values[FRAMES])) {
        return false;
    }
    put_literal(out, ",\"time\":\"");
    if (!put_second(line->page, record->time_ns)) {
        return false;
    }
    put_char(out, '.');
    put_padded(out, (uint64_t)record->time_ns % 1000000000, 9);
    put_literal(out, "Z\"");
    put_bytes(out, place.at, span_size(place));
    put_literal(out, ",\"conn_id\":");
    if (!put_text(out, values[CONN_ID])) {
        return false;
    }
    put_bytes(out, ends.at, span_size(ends));
    put_literal(out, ",\"kind\":");
    if (!put_text(out, values[KIND])) {
        return false;
    }
    put_bytes(out, line->body->label.at, span_size(line->body->label));
    put_literal(out, ",\"version\":");
    put_signed(out, record->version);
    put_literal(out, ",\"serial_no\":");
    put_signed(out, record->serial_no);
    put_literal(out, ",\"body_len\":");
    put_signed(out, record->body_len);
    put_literal(out, ",\"sha1\":\"");
    put_hex(out, record->digest);
    put_literal(out, "\",\"encryption\":");
    if (!put_text(out, values[ENCRYPTION])) {
        return false;
    }
    put_literal(out, ",\"verdict\":\"verified\",\"reason\":null");
    return true;
}

/* Puts the keys of the record that depend on the body, and the body. */
static bool
put_tail(struct line *line, const struct record *record)
{
    struct buffer *out = &line->page->out;
    struct span end = bytes_at(record->flow, 4);
    struct span name = line->has_ret_type ? name_of(&line->body->ret_names, line->ret_type) : (struct span){NULL, NULL};
    if (end.at == NULL || (name.at == NULL && line->body->ret_type != NULL)) {
        return false;
    }
    put_literal(out, ",\"packet_id\":");
    if (line->has_packet_id) {
        put_bytes(out, line->out->bytes + line->packet_start, line->packet_end - line->packet_start);
    } else {
        put_literal(out, "null");
    }
    put_literal(out, ",\"request\":");
    if (!put_number(out, record->values[REQUEST])) {
        return false;
    }
    put_literal(out, ",\"latency_ms\":");
    if (!put_milliseconds(line, out, record->values[LATENCY_NS])) {
        return false;
    }
    put_literal(out, ",\"ret_type\":");
    if (name.at != NULL) {
        put_bytes(out, name.at, span_size(name));
    } else {
        put_literal(out, "null");
    }
    put_literal(out, ",\"body\":");
    put_bytes(out, line->out->bytes, line->out->length);
    put_literal(out, ",\"raw\":null,\"notes\":[]");
    put_bytes(out, end.at, span_size(end));
    return true;
}

static bool
write_json(struct page *page, const struct record *record)
{
    struct json_lines *lines = (struct json_lines *)page->renderer;
    struct line line = {page, &page->body, record->body, lines->write_double, false, false, 0, 0, 0};
    page->body.length = 0;
    return put_message(&line, record->body->type, record->plaintext) && !page->body.failed && put_head(&line, record)
           && put_tail(&line, record);
}

static PyObject *
json_lines_render(PyObject *self, PyObject *records)
{
    struct json_lines *lines = (struct json_lines *)self;
    if (lines->write_double == NULL) {
        PyErr_SetString(PyExc_TypeError, "not initialized");
        return NULL;
    }
    return render(&lines->renderer, records, write_json);
}

static int
json_lines_init(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    struct json_lines *lines = (struct json_lines *)self;
    if (renderer_init(self, arguments, keywords) < 0) {
        return -1;
    }
    PyObject *orjson = PyImport_ImportModule("orjson");
    if (orjson == NULL) {
        return -1;
    }
    lines->write_double = PyObject_GetAttrString(orjson, "dumps");
    Py_DECREF(orjson);
    return lines->write_double == NULL ? -1 : 0;
}

static void
json_lines_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_CLEAR(((struct json_lines *)self)->write_double);
    renderer_dealloc(self);
}

static PyMethodDef json_lines_methods[] = {
    {"add_type", add_type, METH_O, NULL},
    {"add_body", add_body, METH_O, NULL},
    {"render", json_lines_render, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot json_lines_slots[] = {
    {Py_tp_doc, "Writes records as JSON Lines; see _core.pyi."},
    {Py_tp_init, json_lines_init},
    {Py_tp_methods, json_lines_methods},
    {Py_tp_traverse, renderer_traverse},
    {Py_tp_clear, renderer_clear},
    {Py_tp_dealloc, json_lines_dealloc},
    {0, NULL},
};

PyType_Spec json_lines_spec = {
    "decoder._core.JsonLines", sizeof(struct json_lines), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    json_lines_slots,
};
