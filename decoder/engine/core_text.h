/* Programs that write the Info column of a message, and their making. */
#ifndef OPENDUMP_CORE_TEXT_H
#define OPENDUMP_CORE_TEXT_H

#include "core_lines.h"

enum op_code {
    PUT_TEXT,      /* `text` */
    PUT_COUNT,     /* number of items of `field` */
    PUT_VALUE,     /* value of `field` */
    PUT_CHOICE,    /* `text` if `field` is not 0, else `other_text` */
    PUT_PREFERRED, /* value of `other` if it is not 0, else that of `field` */
    PUT_JOINED,    /* name of the number `other`, a point, and the text `field`; without name and point if it is 0 */
    PUT_DATED,     /* text that `mapping` has for the values of `field` and `other` */
    PUT_LIST,      /* the first items of `field`, each by `program` if there is one */
    PUT_MESSAGE,   /* `field`, or its first item, by `program`; within `text` and a bracket if there is a text */
    PUT_EACH,      /* the items of `field` by `program` */
};

/* What must hold, or the group to which the op belongs is left out. */
enum op_test {
    ALWAYS,
    NOT_ZERO, /* of a text or list: not empty */
    PRESENT,
    ABOVE,    /* greater than `limit` */
    NAMED,    /* has a name in `names`, which is put */
    WRITTEN,  /* its program put something */
};

struct program;

struct op {
    enum op_code code;
    enum op_test test;
    bool begins;  /* a group */
    bool counts;  /* PUT_MESSAGE: says how many more there are */
    uint8_t field, other; /* places in the type */
    int64_t limit;
    struct span text, other_text;
    struct names names;
    PyObject *mapping;
    const struct program *program;
};

struct program {
    const struct type *type;
    PyObject *rows; /* keeps what the ops point into */
    Py_ssize_t count;
    struct op *ops;
};

struct text_lines {
    struct renderer renderer;
    PyObject *quote; /* mapping of a text as bytes to what is shown of it */
    Py_ssize_t count;
    struct program **programs;
};

/* Puts the column; returns false if the message is not ordinary, or with an exception. */
bool run_program(struct text_lines *lines, struct buffer *out, const struct program *program, struct span bytes);

/* Adds a program from (type, ops); returns its index. */
PyObject *add_program(PyObject *self, PyObject *arguments);
void programs_free(struct text_lines *lines);
int programs_traverse(const struct text_lines *lines, visitproc visit, void *arg);

#endif
