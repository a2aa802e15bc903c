/* Sources: bodies of one protocol in one direction, and the places in them where the rows of tables stand. */
#ifndef OPENDUMP_CORE_SOURCES_H
#define OPENDUMP_CORE_SOURCES_H

#include "core_readers.h"

#define MAX_PLACES 16 /* in bodies of one kind where rows stand; order books have 2 */

/* A place in bodies where rows stand. */
struct rows_place {
    const struct field *list;     /* that holds the rows, of the part */
    const struct reader *context; /* of the part */
    struct sheet *around;
    const struct reader *row;
    struct sheet *sheet;
};

/* Bodies of one protocol in one direction. */
struct source {
    PyObject *row; /* the tuple that it was made from */
    const struct type *type;
    int part, ret_type, err_code, ret_msg; /* places of fields in the type; -1 for one that it lacks */
    PyObject *ret_names;
    int count;
    struct rows_place places[MAX_PLACES];
};

/* What the rows of all sources have in common. */
struct tables {
    PyObject *make_minute;
    struct types types;
    Py_ssize_t sheet_count, reader_count;
    struct sheet **sheets;
    struct reader **readers;
    struct minute minutes[MINUTES];
};

/* Returns the sheet with an index; NULL with an exception if there is none. */
struct sheet *sheet_at(const struct tables *tables, Py_ssize_t index);

/* Makes a source from a SourceRow of _core.pyi, which it keeps; returns NULL with an exception. */
struct source *source_new(PyObject *row, const struct tables *tables);
void source_free(struct source *source);

/* Reads a body, and keeps its rows if `keep` is set; returns what Columns.read of _core.pyi returns. */
PyObject *read_body(struct tables *tables, const struct source *source, struct span body, bool keep);

#endif
