/* Readers: how the fields of a message type become the cells of a row.

   Python makes them out of the same entries that its own readers are made of (decoder/output/table_core.py). */
#ifndef OPENDUMP_CORE_READERS_H
#define OPENDUMP_CORE_READERS_H

#include "core_sheets.h"

#define MAX_STEPS 255 /* of a reader */

enum step_code {
    STEP_VALUE,      /* the value of `field`; of a number with names its name */
    STEP_SECONDS,    /* `field`, seconds since 1970, as nanoseconds; null beyond 64 bits */
    STEP_PERCENT,    /* `field` times 100 */
    STEP_EITHER,     /* `field`, else the number `other`, as a double */
    STEP_CODE,       /* `field`, a message: the name of its first field, a point, and its second field, a text */
    STEP_TRADE_CODE, /* the name of `other` and a point, unless it is absent or empty; and the text `field` */
    STEP_SPLIT,      /* the text `field` up to its first blank; what follows goes into `other_column` */
    STEP_PRESENT,    /* whether `field` is there */
    STEP_INSIDE,     /* the message `field` by the reader `inside` */
    STEP_EMPTY,      /* nothing; a message with items of the list `field` is for Python */
    STEP_PASS,       /* nothing; somebody else reads `field` */
    STEP_FIXED,      /* the name of 0 */
    STEP_ITEM,       /* place of the row in its list, plus `plus` */
    STEP_PARENT,     /* place of the row around */
    STEP_STAMP,      /* nanoseconds since 1970 of a text in the time of its market; see struct step */
};

struct step {
    enum step_code code;
    bool around;               /* STEP_STAMP: `code_column` is in the sheet of what is around the row */
    const struct field *field; /* or NULL */
    const struct field *other;
    uint8_t place, other_place; /* of these in the type */
    int column;
    int other_column;          /* STEP_STAMP: the text, or its time of day if there is a `date_column` */
    int date_column;           /* STEP_STAMP: or -1 */
    int code_column;           /* STEP_STAMP: market and security, as STEP_CODE writes them */
    uint32_t plus;
    struct names names;
    int32_t *codes;            /* by place in `names`: code in the column, -1 if it has none yet */
    uint32_t taken;            /* how often the sheet was taken when `codes` was begun */
    const struct reader *inside;
};

struct reader {
    const struct type *type;
    const struct sheet *sheet;  /* that the steps fit */
    const struct sheet *around; /* likewise, or NULL */
    int count;
    struct step *steps;
    uint8_t unread_count;
    uint8_t unread[MAX_FIELDS]; /* places of the messages in the type that no step reads */
};

#define MINUTES 1024 /* that are remembered; of the minutes of a day there are 1,440 */
#define MINUTE_TEXT 16 /* 2026-07-05 04:42 */
#define MARKET_TEXT 3 /* HK. */

struct minute {
    bool known, none;
    uint8_t text[MINUTE_TEXT + MARKET_TEXT];
    int64_t ns;
};

/* What stands around a row that is read. */
struct place {
    struct sheet *sheet;
    const struct sheet *around; /* or NULL; its last row is the one around */
    uint32_t item;
    PyObject *make_minute;      /* maps (minute, market) to nanoseconds, or to None if it is none */
    struct minute *minutes;
};

/* Sets the cells of the row that is being written from a message; false if it is not ordinary, or with an exception. */
bool run_reader(const struct reader *reader, const struct place *place, struct span bytes);

/* Makes a reader from a tuple of StepRows of _core.pyi, of rows of `sheet` and what is around them, which may be NULL;
   `readers` are those that there are.  Returns NULL with an exception. */
struct reader *reader_new(const struct type *type, PyObject *rows, const struct sheet *sheet,
                          const struct sheet *around, struct reader *const *readers, Py_ssize_t count);
void reader_free(struct reader *reader);

/* Sets a cell from a text in the time of a market, or leaves it null; false with an exception. */
bool stamp(const struct step *step, const struct place *place);

#endif
