/* The loop over records, and the look at each: the renderer writes it, or Python does. */
#include "core_lines.h"

/* Places in the header, as decoder.framing.header unpacks it. */
enum { PROTO_ID = 1, FORMAT = 2, VERSION = 3, SERIAL_NO = 4, BODY_LEN = 5, DIGEST = 6, HEADER_ITEMS = 8 };

#define PROTOBUF 0 /* value of the header's format */
#define NANOSECONDS 1000000000

struct span
bytes_at(PyObject *tuple, Py_ssize_t place)
{
    PyObject *bytes = PyTuple_GetItem(tuple, place);
    return bytes == NULL ? (struct span){NULL, NULL} : span_of(bytes);
}

bool
read_integer(PyObject *object, int64_t *value)
{
    if (!PyLong_Check(object)) {
        return false;
    }
    *value = PyLong_AsLongLong(object);
    if (*value == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return true;
}

PyObject *
number_object(enum kind kind, uint64_t number)
{
    switch (kind) {
    case DOUBLE: return PyFloat_FromDouble(double_of(number));
    case FLOAT: return PyFloat_FromDouble(float_of(number));
    case UINT64: return PyLong_FromUnsignedLongLong(number);
    default: return PyLong_FromLongLong(integer_of(kind, number));
    }
}

bool
put_mapped(struct buffer *out, PyObject *mapping, PyObject *key)
{
    PyObject *text = key == NULL ? NULL : PyObject_GetItem(mapping, key);
    struct span bytes = text == NULL || text == Py_None ? (struct span){NULL, NULL} : span_of(text);
    if (bytes.at != NULL) {
        put_bytes(out, bytes.at, span_size(bytes));
    }
    Py_XDECREF(key);
    Py_XDECREF(text);
    return bytes.at != NULL;
}

/* Looks a key up in a dict; where it is missing, the dict's class makes the value.  Returns a new reference. */
static PyObject *
look_up(PyObject *dict, PyObject *key)
{
    PyObject *found = PyDict_GetItemWithError(dict, key);
    if (found != NULL) {
        Py_INCREF(found);
        return found;
    }
    return PyErr_Occurred() ? NULL : PyObject_GetItem(dict, key);
}

static void
record_clear(struct record *record)
{
    for (int i = 0; i < READ_ATTRIBUTES; i++) {
        Py_XDECREF(record->values[i]);
    }
    Py_XDECREF(record->flow);
}

static bool
is_text(PyObject *object, const char *text)
{
    return PyUnicode_Check(object) && PyUnicode_CompareWithASCIIString(object, text) == 0;
}

/* Reads the header of a message whose header is an object: a tuple, if nobody set another. */
static bool
read_header_object(struct record *record, PyObject *header)
{
    int64_t format;
    if (!PyTuple_Check(header) || PyTuple_Size(header) != HEADER_ITEMS) {
        return false;
    }
    PyObject *digest = PyTuple_GetItem(header, DIGEST);
    if (!PyBytes_Check(digest) || PyBytes_Size(digest) == 0) {
        return false;
    }
    record->digest = span_of(digest);
    return read_integer(PyTuple_GetItem(header, FORMAT), &format) && format == PROTOBUF
           && read_integer(PyTuple_GetItem(header, PROTO_ID), &record->proto_id)
           && read_integer(PyTuple_GetItem(header, VERSION), &record->version)
           && read_integer(PyTuple_GetItem(header, SERIAL_NO), &record->serial_no)
           && read_integer(PyTuple_GetItem(header, BODY_LEN), &record->body_len);
}

static bool
read_header_bytes(struct record *record, const uint8_t *wire)
{
    record->digest = (struct span){wire + DIGEST_AT, wire + DIGEST_AT + DIGEST_LEN};
    record->proto_id = read_u32(wire + PROTO_ID_AT);
    record->version = wire[VERSION_AT];
    record->serial_no = read_u32(wire + SERIAL_NO_AT);
    record->body_len = read_u32(wire + BODY_LEN_AT);
    return wire[FORMAT_AT] == PROTOBUF;
}

/* Finds the tables for the body of a record; false without an exception if there are none. */
static bool
find_body(struct renderer *renderer, struct record *record)
{
    int64_t longest, index;
    record->flow = look_up(renderer->flows, record->values[FLOW]);
    if (record->flow == NULL) {
        return false;
    }
    PyObject *bodies = PyTuple_GetItem(record->flow, 1);
    if (bodies == NULL || !read_integer(PyTuple_GetItem(record->flow, 0), &longest)) {
        return false;
    }
    if ((int64_t)span_size(record->plaintext) > longest) {
        return false;
    }
    PyObject *proto_id = PyLong_FromLongLong(record->proto_id);
    PyObject *found = proto_id == NULL ? NULL : look_up(bodies, proto_id);
    Py_XDECREF(proto_id);
    if (found == NULL) {
        return false;
    }
    bool known = read_integer(found, &index) && index >= 0 && index < renderer->count;
    record->body = known ? renderer->bodies[index] : NULL;
    Py_DECREF(found);
    return known;
}

/* Takes the attributes of a message; returns false with an exception if one is missing. */
static bool
take_attributes(struct renderer *renderer, PyObject *message, struct record *record)
{
    for (int i = 0; i < READ_ATTRIBUTES; i++) {
        PyObject *value = renderer->fields_in_c ? ((struct message *)message)->values[i] : NULL;
        if (value == NULL && (i != HEADER || !record->wire)) {
            value = PyObject_GetAttr(message, renderer->attributes[i]);
            if (value == NULL) {
                return false;
            }
        } else {
            Py_XINCREF(value);
        }
        record->values[i] = value;
    }
    return true;
}

/* Reads the attributes of a message; returns false if it is for Python, or with an exception. */
static bool
read_record(struct renderer *renderer, PyObject *message, struct record *record)
{
    if (renderer->fields_in_c && ((struct message *)message)->on_wire) {
        record->wire = ((struct message *)message)->wire;
    }
    if (!take_attributes(renderer, message, record)) {
        return false;
    }
    PyObject **values = record->values;
    if (values[OWN_NOTES] != Py_None || values[ERROR] != Py_None || values[REASON] != Py_None
        || !is_text(values[VERDICT], "verified") || !PyBytes_Check(values[PLAINTEXT])) {
        return false;
    }
    record->plaintext = span_of(values[PLAINTEXT]);
    bool read = record->wire ? read_header_bytes(record, record->wire) : read_header_object(record, values[HEADER]);
    return read && read_integer(values[NUMBER], &record->number) && read_integer(values[TIME_NS], &record->time_ns)
           && record->time_ns >= 0 && find_body(renderer, record);
}

/* Puts the line that Python writes; returns false with an exception. */
static bool
put_python_line(struct page *page, PyObject *item)
{
    PyObject *line = PyObject_CallFunctionObjArgs(page->renderer->line, item, NULL);
    struct span bytes = line == NULL ? (struct span){NULL, NULL} : span_of(line);
    bool done = bytes.at != NULL;
    if (done) {
        put_bytes(&page->out, bytes.at, span_size(bytes));
    }
    Py_XDECREF(line);
    return done;
}

static bool
put_line(struct page *page, PyObject *item, line_writer *write)
{
    if ((PyObject *)Py_TYPE(item) == page->renderer->message_class) {
        struct record record;
        memset(&record, 0, sizeof record);
        size_t before = page->out.length;
        bool done = read_record(page->renderer, item, &record) && write(page, &record);
        record_clear(&record);
        if (page->out.failed || page->body.failed) {
            PyErr_NoMemory();
        }
        if (done || PyErr_Occurred()) {
            return !PyErr_Occurred();
        }
        page->out.length = before;
    }
    return put_python_line(page, item);
}

PyObject *
render(struct renderer *renderer, PyObject *records, line_writer *write)
{
    struct page page;
    memset(&page, 0, sizeof page);
    page.renderer = renderer;
    page.second = -1;
    if (renderer->flows == NULL) {
        PyErr_SetString(PyExc_TypeError, "not initialized");
        return NULL;
    }
    PyObject *iterator = PyObject_GetIter(records);
    if (iterator == NULL) {
        return NULL;
    }
    PyObject *item;
    bool well = true;
    while (well && (item = PyIter_Next(iterator)) != NULL) {
        well = put_line(&page, item, write);
        Py_DECREF(item);
    }
    Py_DECREF(iterator);
    if (page.out.failed) {
        PyErr_NoMemory();
    }
    PyObject *lines = PyErr_Occurred() ? NULL : PyBytes_FromStringAndSize(page.out.bytes, (Py_ssize_t)page.out.length);
    buffer_free(&page.out);
    buffer_free(&page.body);
    return lines;
}

bool
put_second(struct page *page, int64_t time_ns)
{
    int64_t second = time_ns / NANOSECONDS;
    if (second != page->second) {
        PyObject *number = PyLong_FromLongLong(second);
        PyObject *text = number == NULL ? NULL : PyObject_CallFunctionObjArgs(page->renderer->second, number, NULL);
        struct span bytes = text == NULL ? (struct span){NULL, NULL} : span_of(text);
        bool fits = bytes.at != NULL && span_size(bytes) <= sizeof page->stamp;
        if (fits) {
            page->second = second;
            page->stamp_size = span_size(bytes);
            memcpy(page->stamp, bytes.at, page->stamp_size);
        }
        Py_XDECREF(number);
        Py_XDECREF(text);
        if (!fits) {
            return false;
        }
    }
    put_bytes(&page->out, page->stamp, page->stamp_size);
    return true;
}

static void
body_free(struct body *body)
{
    names_free(&body->ret_names);
    Py_XDECREF(body->row);
    PyMem_Free(body);
}

/* Sets `field` to the field of a type that has this number; NULL for number 0. */
static bool
find_field(const struct type *type, int number, const struct field **field)
{
    *field = NULL;
    if (number == 0) {
        return true;
    }
    if (number < 0 || number > MAX_NUMBER || type->places[number] == 0) {
        PyErr_SetString(PyExc_ValueError, "no such field");
        return false;
    }
    *field = &type->fields[type->places[number] - 1];
    return true;
}

static bool
body_from(struct body *body, PyObject *row, const struct types *types)
{
    Py_ssize_t type, packet_type;
    int ret_type, packet_id, wrapper;
    PyObject *label, *names;
    if (!PyArg_ParseTuple(row, "nSiniO!in:body", &type, &label, &ret_type, &packet_type, &packet_id, &PyDict_Type,
                          &names, &wrapper, &body->program)) {
        return false;
    }
    body->label = span_of(label);
    body->type = type_at(types, type);
    const struct type *holder = body->type == NULL ? NULL : type_at(types, packet_type);
    return holder != NULL && find_field(body->type, ret_type, &body->ret_type)
           && find_field(holder, packet_id, &body->packet_id) && find_field(body->type, wrapper, &body->wrapper)
           && names_from(&body->ret_names, names);
}

PyObject *
add_type(PyObject *self, PyObject *rows)
{
    Py_ssize_t index = types_add(&((struct renderer *)self)->types, rows);
    return index < 0 ? NULL : PyLong_FromSsize_t(index);
}

PyObject *
add_body(PyObject *self, PyObject *row)
{
    struct renderer *renderer = (struct renderer *)self;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a body must be a tuple");
        return NULL;
    }
    struct body *body = PyMem_Calloc(1, sizeof *body);
    if (body == NULL) {
        return PyErr_NoMemory();
    }
    Py_INCREF(row);
    body->row = row;
    struct body **grown = NULL;
    if (body_from(body, row, &renderer->types)) {
        grown = PyMem_Realloc(renderer->bodies, ((size_t)renderer->count + 1) * sizeof *grown);
        if (grown == NULL) {
            PyErr_NoMemory();
        }
    }
    if (grown == NULL) {
        body_free(body);
        return NULL;
    }
    renderer->bodies = grown;
    renderer->bodies[renderer->count] = body;
    return PyLong_FromSsize_t(renderer->count++);
}

int
renderer_init(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    struct renderer *renderer = (struct renderer *)self;
    static char *names[] = {"message_class", "flows", "second", "line", NULL};
    PyObject *message_class, *flows, *second, *line;
    if (renderer->flows != NULL) {
        PyErr_SetString(PyExc_TypeError, "initialized twice");
        return -1;
    }
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO!OO:renderer", names, &message_class,
                                     &PyDict_Type, &flows, &second, &line)) {
        return -1;
    }
    for (int i = 0; i < READ_ATTRIBUTES; i++) {
        if (renderer->attributes[i] == NULL) {
            renderer->attributes[i] = PyUnicode_InternFromString(ATTRIBUTE_NAMES[i]);
        }
        if (renderer->attributes[i] == NULL) {
            return -1;
        }
    }
    Py_INCREF(message_class);
    Py_INCREF(flows);
    Py_INCREF(second);
    Py_INCREF(line);
    renderer->message_class = message_class;
    renderer->fields_in_c = is_message_class(message_class);
    renderer->flows = flows;
    renderer->second = second;
    renderer->line = line;
    return 0;
}

int
renderer_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct renderer *renderer = (struct renderer *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(renderer->message_class);
    Py_VISIT(renderer->flows);
    Py_VISIT(renderer->second);
    Py_VISIT(renderer->line);
    for (Py_ssize_t i = 0; i < renderer->count; i++) {
        Py_VISIT(renderer->bodies[i]->row);
    }
    return types_traverse(&renderer->types, visit, arg);
}

int
renderer_clear(PyObject *self)
{
    struct renderer *renderer = (struct renderer *)self;
    Py_CLEAR(renderer->flows);
    Py_CLEAR(renderer->second);
    Py_CLEAR(renderer->line);
    Py_CLEAR(renderer->message_class);
    return 0;
}

void
renderer_dealloc(PyObject *self)
{
    struct renderer *renderer = (struct renderer *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    renderer_clear(self);
    for (Py_ssize_t i = 0; i < renderer->count; i++) {
        body_free(renderer->bodies[i]);
    }
    PyMem_Free(renderer->bodies);
    for (int i = 0; i < READ_ATTRIBUTES; i++) {
        Py_XDECREF(renderer->attributes[i]);
    }
    types_free(&renderer->types);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}
