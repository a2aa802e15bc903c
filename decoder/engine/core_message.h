/* The attributes of decoder.message.Message, kept by C: to make one takes a tenth of the time, and to read it too. */
#ifndef OPENDUMP_CORE_MESSAGE_H
#define OPENDUMP_CORE_MESSAGE_H

#include "core_python.h"

#include "core_buffer.h"

/* Attributes of a message, in the order of ATTRIBUTE_NAMES. */
enum attribute {
    FLOW, NUMBER, FRAMES, TIME_NS, CONN_ID, KIND, HEADER, ENCRYPTION, VERDICT, REASON, OWN_NOTES, ERROR, PLAINTEXT,
    REQUEST, LATENCY_NS,
    READ_ATTRIBUTES, /* those before this one are what the renderers read */
    ORDINAL = READ_ATTRIBUTES, COPY, BODY, ATTRIBUTES
};

extern const char *const ATTRIBUTE_NAMES[ATTRIBUTES];

#define HEADER_LEN 44 /* bytes */

struct message {
    PyObject_HEAD
    PyObject *values[ATTRIBUTES]; /* HEADER: NULL until somebody asks for it, if the message is from the wire */
    bool on_wire;                 /* its header is in `wire` */
    uint8_t wire[HEADER_LEN];
};

/* The header's numbers, little-endian. */
static inline uint32_t
read_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Places of the fields in the header, as decoder/framing/header.py says. */
enum { PROTO_ID_AT = 2, FORMAT_AT = 6, VERSION_AT = 7, SERIAL_NO_AT = 8, BODY_LEN_AT = 12, DIGEST_AT = 16, RESERVED_AT = 36 };
#define DIGEST_LEN 20 /* bytes */

/* Returns the header as decoder.framing.header.HEADER unpacks it. */
PyObject *unpack_header(const uint8_t *wire);

/* Returns a message of a subclass of MessageFields with the defaults and this header; NULL with an exception. */
struct message *message_new(PyTypeObject *class, const uint8_t *wire);

/* Sets an attribute to an object, whose reference is taken over; returns false if it is NULL. */
bool message_put(struct message *message, enum attribute attribute, PyObject *value);

/* Returns true if objects of this class begin with `struct message`. */
bool is_message_class(PyObject *class);

/* The class MessageFields; PyInit sets it. */
extern PyObject *message_fields;
extern PyType_Spec message_fields_spec;

#endif
