/* Message types as tables, and the fields of one message found by such a table.

Python makes the tables out of the descriptors (decoder/output/core_tables.py); no protocol is known here.  A message is
*ordinary* if every field in it is declared and has the declared wire type, a field that is not repeated comes once at
most, the items of a repeated one stand together, no required one is missing, and all texts are UTF-8.  Everything else
is for Python, which knows what to do with it. */
#ifndef OPENDUMP_CORE_TYPES_H
#define OPENDUMP_CORE_TYPES_H

#include "core_python.h"

#include "core_buffer.h"

#define MAX_FIELDS 128 /* of one type; the schema's largest has 48 */
#define MAX_NUMBER 1023 /* of a field, so that a tag has two bytes at most; the schema's highest is 103 */
#define MAX_LEVELS 16 /* of types within types, which bounds the C stack; the schema has 7 */

enum kind { BOOL, INT32, INT64, UINT32, UINT64, FLOAT, DOUBLE, STRING, BYTES, MESSAGE };

enum wire_type { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

/* Texts for numbers, sorted by number. */
struct names {
    PyObject *dict; /* the texts; NULL if there are none */
    Py_ssize_t count;
    int64_t *numbers;
    struct span *texts;
};

struct type;

struct field {
    enum kind kind;
    enum wire_type wire_type;
    bool repeated;
    bool required;
    uint16_t number;
    struct span key;          /* goes before the value */
    struct span fixed;        /* goes instead of the value, unless `at` is NULL */
    struct names names;       /* of a number */
    PyObject *texts;          /* mapping of a number to its text as bytes, or to None if Python must write it; or NULL */
    const struct type *inner; /* of a MESSAGE */
    PyObject *row;            /* the tuple that the spans point into */
};

struct type {
    uint8_t count;
    uint8_t required;
    uint8_t levels;
    struct field *fields;          /* in the order of their numbers */
    uint8_t places[MAX_NUMBER + 1]; /* by number: place in `fields` plus 1, or 0 */
};

/* One value of a field: a number as it was sent, or bytes. */
struct value {
    uint64_t number;
    struct span bytes;
};

/* The values of one field in a message. */
struct slot {
    uint32_t items;
    struct value first;
    struct span all; /* of a repeated field: tags and values of all its items */
};

/* Fills a slot for each field of `type` from the message `bytes`; returns false if it is not ordinary.
   The messages in it are not looked into. */
bool find_fields(const struct type *type, struct span bytes, struct slot *slots);

/* Returns true if the message and all messages in it are ordinary. */
bool is_ordinary(const struct type *type, struct span bytes);

/* Goes through the items of a repeated field. */
struct items {
    const struct field *field;
    struct span rest;
    struct span packed;
};

struct items items_of(const struct field *field, const struct slot *slot);
bool next_item(struct items *items, struct value *value);

/* Returns a varint as the integer that protobuf makes of it for this kind; of an unsigned one the bits. */
int64_t integer_of(enum kind kind, uint64_t number);

double double_of(uint64_t number);
float float_of(uint64_t number);

/* Returns the place of a number; -1 if it has no text. */
Py_ssize_t name_place(const struct names *names, int64_t number);

/* Returns the text of a number; one without bytes (`at` is NULL) if it has none. */
struct span name_of(const struct names *names, int64_t number);

/* Makes a table out of a dict of int to bytes; returns false with an exception. */
bool names_from(struct names *names, PyObject *dict);
void names_free(struct names *names);

/* Returns what a bytes object holds; `at` is NULL with an exception if it is none. */
struct span span_of(PyObject *bytes);

/* The tables that a renderer has; each is allocated alone, so that pointers to it stay valid.  Begin with all zeros. */
struct types {
    Py_ssize_t count;
    struct type **types;
};

/* Adds a type from a tuple of fields; returns its index, or -1 with an exception. */
Py_ssize_t types_add(struct types *types, PyObject *rows);

/* Returns the type with an index; NULL with an exception if there is none. */
const struct type *type_at(const struct types *types, Py_ssize_t index);

/* Visits what the types refer to, for the garbage collector. */
int types_traverse(const struct types *types, visitproc visit, void *arg);

void types_free(struct types *types);

#endif
