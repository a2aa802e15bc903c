/* The class MessageFields: what decoder.message_fields.PlainFields is without the compiled core. */
#include "core_message.h"

#include <structmember.h>

const char *const ATTRIBUTE_NAMES[ATTRIBUTES] = {
    "flow", "number", "_frames", "time_ns", "conn_id", "kind", "header", "encryption", "verdict", "reason", "own_notes",
    "error", "plaintext", "request", "latency_ns", "ordinal", "copy", "_body",
};

PyObject *message_fields;

bool
is_message_class(PyObject *class)
{
    return message_fields != NULL && PyType_Check(class)
           && PyType_IsSubtype((PyTypeObject *)class, (PyTypeObject *)message_fields);
}

PyObject *
unpack_header(const uint8_t *wire)
{
    return Py_BuildValue("(y#IBBIIy#y#)", wire, (Py_ssize_t)2, read_u32(wire + PROTO_ID_AT), wire[FORMAT_AT],
                         wire[VERSION_AT], read_u32(wire + SERIAL_NO_AT), read_u32(wire + BODY_LEN_AT),
                         wire + DIGEST_AT, (Py_ssize_t)DIGEST_LEN, wire + RESERVED_AT,
                         (Py_ssize_t)(HEADER_LEN - RESERVED_AT));
}

bool
message_put(struct message *message, enum attribute attribute, PyObject *value)
{
    PyObject *before = message->values[attribute];
    message->values[attribute] = value;
    Py_XDECREF(before);
    return value != NULL;
}

static bool
put_object(struct message *message, enum attribute attribute, PyObject *value)
{
    Py_INCREF(value);
    return message_put(message, attribute, value);
}

static bool
put_defaults(struct message *message)
{
    static const enum attribute none[] = {REQUEST, LATENCY_NS, ERROR, BODY, OWN_NOTES, REASON};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        put_object(message, none[i], Py_None);
    }
    put_object(message, COPY, Py_False);
    return message_put(message, NUMBER, PyLong_FromLong(0)) && message_put(message, ORDINAL, PyLong_FromLong(0));
}

struct message *
message_new(PyTypeObject *class, const uint8_t *wire)
{
    struct message *message = (struct message *)PyType_GenericAlloc(class, 0);
    if (message == NULL) {
        return NULL;
    }
    memcpy(message->wire, wire, HEADER_LEN);
    message->on_wire = true;
    if (!put_defaults(message)) {
        Py_DECREF(message);
        return NULL;
    }
    return message;
}

static int
message_init(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"flow", "header", "time_ns", "frames", "kind", "plaintext", "encryption", "verdict",
                            "reason", "conn_id", "notes", NULL};
    static const enum attribute places[] = {FLOW, HEADER, TIME_NS, FRAMES, KIND, PLAINTEXT, ENCRYPTION, VERDICT, REASON,
                                            CONN_ID, OWN_NOTES};
    PyObject *given[11] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOOOOOOOO|O:Message", names, &given[0], &given[1], &given[2],
                                     &given[3], &given[4], &given[5], &given[6], &given[7], &given[8], &given[9],
                                     &given[10])) {
        return -1;
    }
    struct message *message = (struct message *)self;
    message->on_wire = false;
    if (!put_defaults(message)) {
        return -1;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (given[i] != NULL) {
            put_object(message, places[i], given[i]);
        }
    }
    return 0;
}

static PyObject *
message_get_header(PyObject *self, void *closure)
{
    (void)closure;
    struct message *message = (struct message *)self;
    if (message->values[HEADER] == NULL && message->on_wire) {
        message->values[HEADER] = unpack_header(message->wire);
    }
    PyObject *header = message->values[HEADER];
    if (header == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_AttributeError, "header");
    }
    Py_XINCREF(header);
    return header;
}

static int
message_set_header(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    Py_XINCREF(value);
    ((struct message *)self)->on_wire = false;
    message_put((struct message *)self, HEADER, value);
    return 0;
}

static int
message_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < ATTRIBUTES; i++) {
        Py_VISIT(((struct message *)self)->values[i]);
    }
    return 0;
}

static int
message_clear(PyObject *self)
{
    for (int i = 0; i < ATTRIBUTES; i++) {
        Py_CLEAR(((struct message *)self)->values[i]);
    }
    return 0;
}

static void
message_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    message_clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

#define MEMBER(name, place) {name, T_OBJECT_EX, (Py_ssize_t)offsetof(struct message, values[place]), 0, NULL}

static PyMemberDef message_members[] = {
    MEMBER("flow", FLOW), MEMBER("number", NUMBER), MEMBER("_frames", FRAMES), MEMBER("time_ns", TIME_NS),
    MEMBER("conn_id", CONN_ID), MEMBER("kind", KIND), MEMBER("encryption", ENCRYPTION), MEMBER("verdict", VERDICT),
    MEMBER("reason", REASON), MEMBER("own_notes", OWN_NOTES), MEMBER("error", ERROR), MEMBER("plaintext", PLAINTEXT),
    MEMBER("request", REQUEST), MEMBER("latency_ns", LATENCY_NS), MEMBER("ordinal", ORDINAL), MEMBER("copy", COPY),
    MEMBER("_body", BODY),
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef message_computed[] = {
    {"header", message_get_header, message_set_header, "Header as sent.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot message_slots[] = {
    {Py_tp_doc, "Keeps the attributes of a message; see _core.pyi."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, message_init},
    {Py_tp_members, message_members},
    {Py_tp_getset, message_computed},
    {Py_tp_traverse, message_traverse},
    {Py_tp_clear, message_clear},
    {Py_tp_dealloc, message_dealloc},
    {0, NULL},
};

PyType_Spec message_fields_spec = {
    "decoder._core.MessageFields", sizeof(struct message), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, message_slots,
};
