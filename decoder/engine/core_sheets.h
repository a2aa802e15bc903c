/* Sheets: columns of one length that grow row by row, as Arrow keeps columns in memory. */
#ifndef OPENDUMP_CORE_SHEETS_H
#define OPENDUMP_CORE_SHEETS_H

#include "core_types.h"

#define MAX_COLUMNS 512 /* of a sheet; the widest table has 163 */

/* How the cells of a column are kept. */
enum store {
    BITS,        /* a bit each */
    FOUR_BYTES,
    EIGHT_BYTES, /* an integer or a double */
    TEXTS,       /* where each ends in `text`, as 4 bytes, after a first 0 */
    CODES,       /* 4 bytes: places in `names` */
};

struct column {
    enum store store;
    struct buffer valid; /* a bit each: 1 unless the cell is null */
    struct buffer cells; /* what is null holds 0 */
    struct buffer text;
    PyObject *names;     /* of CODES: a list of bytes, each once */
};

struct sheet {
    uint32_t rows;       /* that are complete; the next one is being written */
    uint32_t capacity;
    uint32_t taken;      /* how often the rows were taken: names are forgotten then */
    int count;
    struct column *columns;
};

/* Makes the columns: a letter each, `?` BITS, `4`, `8`, `s` TEXTS, `e` CODES.  Returns NULL with an exception. */
struct sheet *sheet_new(const char *letters);
void sheet_free(struct sheet *sheet);
int sheet_traverse(const struct sheet *sheet, visitproc visit, void *arg);

/* Makes room for one more row, whose cells are null until they are set; false with an exception. */
bool sheet_begin_row(struct sheet *sheet);
void sheet_end_row(struct sheet *sheet);

/* Drops the rows from `rows` on, and the one that is being written. */
void sheet_cut(struct sheet *sheet, uint32_t rows);

/* Returns true if a cell is not null. */
static inline bool
is_set(const struct column *column, uint32_t row)
{
    return column->valid.bytes[row / 8] >> row % 8 & 1;
}

static inline void
mark(struct column *column, uint32_t row)
{
    column->valid.bytes[row / 8] = (char)(column->valid.bytes[row / 8] | 1 << row % 8);
}

/* Set the cell in the row that is being written; the store must fit. */
static inline void
set_bit(struct sheet *sheet, int place, bool value)
{
    struct column *column = &sheet->columns[place];
    char *byte = column->cells.bytes + sheet->rows / 8;
    mark(column, sheet->rows);
    *byte = (char)(*byte | value << sheet->rows % 8);
}

static inline void
set_four(struct sheet *sheet, int place, uint32_t value)
{
    struct column *column = &sheet->columns[place];
    mark(column, sheet->rows);
    memcpy(column->cells.bytes + (size_t)sheet->rows * 4, &value, sizeof value);
}

static inline void
set_eight(struct sheet *sheet, int place, uint64_t value)
{
    struct column *column = &sheet->columns[place];
    mark(column, sheet->rows);
    memcpy(column->cells.bytes + (size_t)sheet->rows * 8, &value, sizeof value);
}

/* Likewise; false with an exception. */
bool set_text(struct sheet *sheet, int column, struct span text);

/* Returns the code of a name, which is added if it is new; -1 with an exception. */
int32_t code_of(struct sheet *sheet, int column, struct span name);

/* Returns a text, also of the row that is being written; `at` is NULL if it is null. */
struct span text_at(const struct sheet *sheet, int column, uint32_t row);

/* Returns a list of (valid, cells, text, names) for each column, and begins anew; NULL with an exception.
   `valid` is None if no cell is null, `text` and `names` if the store has none. */
PyObject *sheet_take(struct sheet *sheet);

#endif
