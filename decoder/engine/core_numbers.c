/* Doubles and floats as text. */
#include "core_python.h"

#include <float.h>
#include <math.h>

#include "core_numbers.h"

#define MAX_DIGITS 15 /* every decimal of so many digits is the shortest form of the double next to it */

static const double POWERS[MAX_DIGITS + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Finds `digits` and `decimals` so that value = digits / 10^decimals, with at most 15 digits and as few decimals as
   possible.  Both numbers are exact doubles and division rounds correctly, so equality proves it; two decimals of at
   most 15 digits never mean the same double, so it is the shortest form.  Most prices and volumes have one. */
static bool
find_short_decimal(double value, uint64_t *digits, int *decimals)
{
    if (value == 0) {
        *digits = 0;
        *decimals = 0;
        return !signbit(value);
    }
    if (FLT_EVAL_METHOD != 0 || !(value >= 1e-4 && value < 1e15)) { /* doubles must be computed as doubles */
        return false;
    }
    for (int places = 0; places < MAX_DIGITS; places++) {
        double shifted = value * POWERS[places];
        if (shifted >= 1e15) {
            return false;
        }
        uint64_t whole = (uint64_t)(shifted + 0.5);
        if ((double)whole / POWERS[places] == value) {
            *digits = whole;
            *decimals = places;
            return true;
        }
    }
    return false;
}

static void
put_decimal(struct buffer *buffer, uint64_t digits, int decimals)
{
    uint64_t power = (uint64_t)POWERS[decimals];
    put_unsigned(buffer, digits / power);
    if (decimals) {
        put_char(buffer, '.');
        put_padded(buffer, digits % power, decimals);
    }
}

/* Puts the bytes that the Python function `write` returns for a double. */
static bool
put_written_double(struct buffer *buffer, double value, PyObject *write)
{
    PyObject *number = PyFloat_FromDouble(value);
    PyObject *text = number == NULL ? NULL : PyObject_CallFunctionObjArgs(write, number, NULL);
    char *bytes;
    Py_ssize_t size;
    bool done = text != NULL && PyBytes_AsStringAndSize(text, &bytes, &size) == 0;
    if (done) {
        put_bytes(buffer, bytes, (size_t)size);
    }
    Py_XDECREF(number);
    Py_XDECREF(text);
    return done;
}

bool
put_shortest_double(struct buffer *buffer, double value, PyObject *write)
{
    uint64_t digits;
    int decimals;
    double positive = value < 0 ? -value : value;
    if (find_short_decimal(positive, &digits, &decimals)) {
        if (value < 0) {
            put_char(buffer, '-');
        }
        put_decimal(buffer, digits, decimals);
        if (decimals == 0) {
            put_literal(buffer, ".0");
        }
        return true;
    }
    return put_written_double(buffer, value, write);
}

bool
put_rounded_double(struct buffer *buffer, double value, int digits)
{
    uint64_t whole;
    int decimals;
    if (digits == MAX_DIGITS && find_short_decimal(value, &whole, &decimals)) {
        put_decimal(buffer, whole, decimals);
        return true;
    }
    char *text = PyOS_double_to_string(value == 0 ? 0.0 : value, 'g', digits, 0, NULL);
    if (text == NULL) {
        return false;
    }
    put_bytes(buffer, text, strlen(text));
    PyMem_Free(text);
    return true;
}

bool
put_shortest_float(struct buffer *buffer, float value, PyObject *write)
{
    double shortest = value;
    for (int digits = 6; digits <= 9; digits++) {
        char *text = PyOS_double_to_string(value, 'g', digits, 0, NULL);
        if (text == NULL) {
            return false;
        }
        shortest = PyOS_string_to_double(text, NULL, NULL);
        PyMem_Free(text);
        if (shortest == -1.0 && PyErr_Occurred()) {
            return false;
        }
        if ((float)shortest == value) {
            break;
        }
    }
    return put_shortest_double(buffer, shortest, write);
}
