/* Reads messages into the cells of a row. */
#include "core_readers.h"

#define SECONDS 9.2e9 /* before and after 1970 that nanoseconds in 64 bits can say */

/* Puts the name of a number; false if it has none, or with an exception. */
static bool
put_name(struct step *step, struct sheet *sheet, int64_t number)
{
    Py_ssize_t place = name_place(&step->names, number);
    if (place < 0) {
        return false;
    }
    struct span name = step->names.texts[place];
    if (sheet->columns[step->column].store == TEXTS) {
        return set_text(sheet, step->column, name);
    }
    if (step->taken != sheet->taken) {
        memset(step->codes, 0xFF, (size_t)step->names.count * sizeof *step->codes);
        step->taken = sheet->taken;
    }
    if (step->codes[place] < 0 && (step->codes[place] = code_of(sheet, step->column, name)) < 0) {
        return false;
    }
    set_four(sheet, step->column, (uint32_t)step->codes[place]);
    return true;
}

static bool
put_value(struct step *step, struct sheet *sheet, const struct value *value)
{
    const struct field *field = step->field;
    if (field->kind == STRING) {
        return set_text(sheet, step->column, value->bytes);
    }
    if (field->kind == DOUBLE) {
        set_eight(sheet, step->column, value->number);
        return true;
    }
    int64_t number = integer_of(field->kind, value->number);
    if (step->names.dict != NULL) {
        return put_name(step, sheet, number);
    }
    switch (sheet->columns[step->column].store) {
    case BITS: set_bit(sheet, step->column, number != 0); break;
    case FOUR_BYTES: set_four(sheet, step->column, (uint32_t)number); break;
    default: set_eight(sheet, step->column, (uint64_t)number);
    }
    return true;
}

static void
put_double(const struct step *step, struct sheet *sheet, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    set_eight(sheet, step->column, bits);
}

static void
put_seconds(const struct step *step, struct sheet *sheet, double seconds)
{
    if (-SECONDS < seconds && seconds < SECONDS) {
        double microseconds = seconds * 1e6;
        int64_t whole = (int64_t)microseconds;
        double rest = microseconds - (double)whole;
        if (rest > 0.5 || (rest == 0.5 && whole % 2)) { /* half to even, as Python rounds */
            whole++;
        } else if (rest < -0.5 || (rest == -0.5 && whole % 2)) {
            whole--;
        }
        set_eight(sheet, step->column, (uint64_t)(whole * 1000));
    }
}

static double
as_double(const struct field *field, uint64_t number)
{
    switch (field->kind) {
    case DOUBLE: return double_of(number);
    case UINT64: return (double)number;
    default: return (double)integer_of(field->kind, number);
    }
}

static bool
put_either(const struct step *step, struct sheet *sheet, const struct slot *slots)
{
    const struct slot *slot = &slots[step->place], *other = &slots[step->other_place];
    if (slot->items) {
        put_double(step, sheet, as_double(step->field, slot->first.number));
    } else if (other->items) {
        put_double(step, sheet, as_double(step->other, other->first.number));
    }
    return true;
}

/* Puts a name, a point and a text; without name and point if the name is empty. */
static bool
put_joined(const struct step *step, struct sheet *sheet, struct span name, struct span text)
{
    struct buffer *out = &sheet->columns[step->column].text;
    put_bytes(out, name.at, span_size(name));
    if (span_size(name)) {
        put_char(out, '.');
    }
    return set_text(sheet, step->column, text);
}

static bool
put_code(const struct step *step, struct sheet *sheet, const struct value *value)
{
    struct slot slots[MAX_FIELDS];
    const struct type *type = step->field->inner;
    if (!find_fields(type, value->bytes, slots) || !slots[0].items || !slots[1].items) {
        return false;
    }
    struct span name = name_of(&step->names, integer_of(type->fields[0].kind, slots[0].first.number));
    return name.at != NULL && put_joined(step, sheet, name, slots[1].first.bytes);
}

static bool
put_trade_code(const struct step *step, struct sheet *sheet, const struct slot *slots)
{
    const struct slot *code = &slots[step->place], *market = &slots[step->other_place];
    struct span name = {NULL, NULL};
    if (market->items) {
        name = name_of(&step->names, integer_of(step->other->kind, market->first.number));
        if (name.at == NULL) {
            return false;
        }
    }
    return code->items && put_joined(step, sheet, name, code->first.bytes);
}

static bool
put_split(const struct step *step, struct sheet *sheet, struct span text)
{
    const uint8_t *blank = text.at == text.end ? NULL : memchr(text.at, ' ', span_size(text));
    if (blank == NULL) {
        return set_text(sheet, step->column, text);
    }
    return set_text(sheet, step->column, (struct span){text.at, blank})
           && set_text(sheet, step->other_column, (struct span){blank + 1, text.end});
}

/* Runs a step that reads a field which is there. */
static bool
run_present(struct step *step, const struct place *place, const struct value *value)
{
    struct sheet *sheet = place->sheet;
    switch (step->code) {
    case STEP_VALUE: return put_value(step, sheet, value);
    case STEP_SECONDS: put_seconds(step, sheet, double_of(value->number)); return true;
    case STEP_PERCENT: put_double(step, sheet, 100 * double_of(value->number)); return true;
    case STEP_CODE: return put_code(step, sheet, value);
    case STEP_SPLIT: return put_split(step, sheet, value->bytes);
    case STEP_INSIDE: return run_reader(step->inside, place, value->bytes);
    default: return step->code != STEP_EMPTY;
    }
}

static bool
run_step(struct step *step, const struct place *place, const struct slot *slots)
{
    struct sheet *sheet = place->sheet;
    const struct slot *slot = &slots[step->place];
    switch (step->code) {
    case STEP_EITHER: return put_either(step, sheet, slots);
    case STEP_TRADE_CODE: return put_trade_code(step, sheet, slots);
    case STEP_PRESENT: set_bit(sheet, step->column, slot->items != 0); return true;
    case STEP_FIXED: return put_name(step, sheet, 0);
    case STEP_ITEM: set_four(sheet, step->column, place->item + step->plus); return true;
    case STEP_PARENT: set_four(sheet, step->column, place->around->rows - 1); return true;
    case STEP_STAMP: return stamp(step, place);
    default: return slot->items == 0 || run_present(step, place, &slot->first);
    }
}

/* Returns true if the messages that no step reads are ordinary as well. */
static bool
unread_are_ordinary(const struct reader *reader, const struct slot *slots)
{
    for (int i = 0; i < reader->unread_count; i++) {
        const struct field *field = &reader->type->fields[reader->unread[i]];
        struct items items = items_of(field, &slots[reader->unread[i]]);
        struct value value;
        for (uint32_t k = 0; k < slots[reader->unread[i]].items; k++) {
            if (!next_item(&items, &value) || !is_ordinary(field->inner, value.bytes)) {
                return false;
            }
        }
    }
    return true;
}

bool
run_reader(const struct reader *reader, const struct place *place, struct span bytes)
{
    struct slot slots[MAX_FIELDS];
    if (!find_fields(reader->type, bytes, slots) || !unread_are_ordinary(reader, slots)) {
        return false;
    }
    for (int i = 0; i < reader->count; i++) {
        struct step *step = &reader->steps[i];
        if (step->column >= 0 && is_set(&place->sheet->columns[step->column], place->sheet->rows)) {
            continue; /* two fields that are one column: the first that is there */
        }
        if (!run_step(step, place, slots)) {
            return false;
        }
    }
    return true;
}

/* Returns a number of two digits; -1 if it is none. */
static int
two_digits(const uint8_t *at)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9') {
        return -1;
    }
    return (at[0] - '0') * 10 + at[1] - '0';
}

/* Asks Python for a minute; false with an exception. */
static bool
make_minute(struct minute *minute, PyObject *make)
{
    const char *text = (const char *)minute->text;
    PyObject *key = Py_BuildValue("(s#s#)", text, (Py_ssize_t)MINUTE_TEXT, text + MINUTE_TEXT, (Py_ssize_t)MARKET_TEXT);
    PyObject *found = key == NULL ? NULL : PyObject_GetItem(make, key);
    Py_XDECREF(key);
    if (found == NULL) {
        return false;
    }
    minute->none = found == Py_None;
    if (!minute->none) {
        minute->ns = PyLong_AsLongLong(found);
    }
    Py_DECREF(found);
    minute->known = !PyErr_Occurred();
    return minute->known;
}

/* Returns the minute of a text with its market, all ASCII; NULL with an exception. */
static const struct minute *
find_minute(const struct place *place, const uint8_t *text, const uint8_t *market)
{
    uint32_t hash = 2166136261u; /* FNV-1a; another minute in the same place costs a call, nothing else */
    for (int i = 0; i < MINUTE_TEXT; i++) {
        hash = (hash ^ text[i]) * 16777619u;
    }
    struct minute *minute = &place->minutes[(hash ^ market[0] ^ hash >> 16) % MINUTES];
    if (minute->known && memcmp(minute->text, text, MINUTE_TEXT) == 0
        && memcmp(minute->text + MINUTE_TEXT, market, MARKET_TEXT) == 0) {
        return minute;
    }
    minute->known = false;
    memcpy(minute->text, text, MINUTE_TEXT);
    memcpy(minute->text + MINUTE_TEXT, market, MARKET_TEXT);
    return make_minute(minute, place->make_minute) ? minute : NULL;
}

#define LONGEST 29 /* bytes of a time with nanoseconds */
#define SHORTEST 19

/* Reads the fraction after the seconds, a point and one to nine digits, or nothing; -1 if it is something else. */
static int64_t
read_fraction(const uint8_t *at, const uint8_t *end)
{
    int64_t value = 0, unit = 1000000000;
    if (at == end) {
        return 0;
    }
    if (*at++ != '.' || at == end) {
        return -1;
    }
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') {
            return -1;
        }
        unit /= 10;
        value += (*at - '0') * unit;
    }
    return value;
}

/* Writes the text of a stamp, of one column or of two; returns its length, 0 if it is none. */
static size_t
stamp_text(const struct step *step, const struct sheet *sheet, uint8_t *out)
{
    struct span text = text_at(sheet, step->other_column, sheet->rows);
    struct span date = {NULL, NULL};
    if (step->date_column >= 0) {
        date = text_at(sheet, step->date_column, sheet->rows);
        if (date.at == NULL) {
            return 0;
        }
    }
    size_t before = date.at == NULL ? 0 : span_size(date) + 1;
    if (text.at == NULL || before > LONGEST || before + span_size(text) > LONGEST) {
        return 0;
    }
    if (before) {
        memcpy(out, date.at, before - 1);
        out[before - 1] = ' ';
    }
    memcpy(out + before, text.at, span_size(text));
    return before + span_size(text);
}

static bool
is_ascii(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

bool
stamp(const struct step *step, const struct place *place)
{
    uint8_t text[LONGEST];
    const struct sheet *holder = step->around ? place->around : place->sheet;
    struct span code = text_at(holder, step->code_column, step->around ? holder->rows - 1 : holder->rows);
    size_t size = stamp_text(step, place->sheet, text);
    if (size < SHORTEST || code.at == NULL || span_size(code) < MARKET_TEXT) {
        return true;
    }
    int second = two_digits(text + 17);
    int64_t fraction = read_fraction(text + SHORTEST, text + size);
    if (!is_ascii(text, SHORTEST) || !is_ascii(code.at, MARKET_TEXT) || text[16] != ':' || second < 0 || second > 59
        || fraction < 0) {
        return true;
    }
    const struct minute *minute = find_minute(place, text, code.at);
    if (minute == NULL) {
        return false;
    }
    if (!minute->none) {
        set_eight(place->sheet, step->column, (uint64_t)(minute->ns + second * INT64_C(1000000000) + fraction));
    }
    return true;
}
