/* What the renderers of lines share: which records they take, and the loop over them. */
#ifndef OPENDUMP_CORE_LINES_H
#define OPENDUMP_CORE_LINES_H

#include "core_message.h"
#include "core_types.h"

#define MAX_STAMP 64 /* bytes of the text of a second */

/* Bodies of one protocol in one direction, as add_body of a renderer gives them. */
struct body {
    PyObject *row;            /* the tuple that the spans point into */
    const struct type *type;
    struct span label;        /* what the line says of the protocol */
    const struct field *ret_type;  /* or NULL */
    const struct field *packet_id; /* or NULL */
    struct names ret_names;   /* texts of retType */
    const struct field *wrapper;   /* of text: the message in the body that is shown; NULL: the body itself */
    Py_ssize_t program;       /* of text: the program that writes it; -1 if there is none */
};

struct renderer {
    PyObject_HEAD
    PyObject *message_class; /* the only class whose objects are taken; all others are left to `line` */
    PyObject *flows;         /* mapping of a flow to a tuple: longest body (int), bodies (mapping), and texts (bytes) */
    PyObject *second;        /* returns the text of a second as bytes */
    PyObject *line;          /* returns the line of a record as bytes: the Python path */
    struct types types;
    PyObject *attributes[READ_ATTRIBUTES]; /* their names */
    bool fields_in_c;        /* objects of `message_class` begin with `struct message` */
    Py_ssize_t count;
    struct body **bodies;
};

/* State of one call of render. */
struct page {
    struct renderer *renderer;
    struct buffer out;
    struct buffer body;
    int64_t second;           /* whose text is in `stamp`; -1 at the beginning */
    char stamp[MAX_STAMP];
    size_t stamp_size;
};

/* A message whose attributes are of the types that the decoder gives them, and that has nothing to remark. */
struct record {
    PyObject *values[READ_ATTRIBUTES]; /* HEADER: NULL if `wire` is set */
    const uint8_t *wire;      /* the header as it was on the wire; NULL if it is an object */
    PyObject *flow;           /* tuple of `flows` */
    const struct body *body;
    struct span plaintext;
    int64_t number;
    int64_t time_ns;
    int64_t proto_id, version, serial_no, body_len; /* of the header */
    struct span digest;
};

/* Puts the line of a record.  Returns false if Python must write it, or with an exception; what was put is undone. */
typedef bool line_writer(struct page *page, const struct record *record);

PyObject *render(struct renderer *renderer, PyObject *records, line_writer *write);

/* Puts the text of the second of a time; returns false as above. */
bool put_second(struct page *page, int64_t time_ns);

/* Returns the bytes at a place of a tuple; `at` is NULL with an exception if there are none. */
struct span bytes_at(PyObject *tuple, Py_ssize_t place);

/* Puts the text, as bytes, that a mapping has for a key, which is released; false if it is None, or with an exception. */
bool put_mapped(struct buffer *out, PyObject *mapping, PyObject *key);

/* Returns the Python number that a number of this kind is. */
PyObject *number_object(enum kind kind, uint64_t number);

/* Converts a Python integer; returns false, without an exception, if it is none of 64 bits. */
bool read_integer(PyObject *object, int64_t *value);

/* Adds a message type from a tuple of fields; returns its index. */
PyObject *add_type(PyObject *self, PyObject *rows);

/* Adds a body from a BodyRow of _core.pyi; returns its index. */
PyObject *add_body(PyObject *self, PyObject *row);

int renderer_init(PyObject *self, PyObject *arguments, PyObject *keywords);
int renderer_traverse(PyObject *self, visitproc visit, void *arg);
int renderer_clear(PyObject *self);
void renderer_dealloc(PyObject *self);

extern PyType_Spec json_lines_spec;
extern PyType_Spec text_lines_spec;
extern PyType_Spec columns_spec;

#endif
