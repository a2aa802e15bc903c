/* Doubles and floats as text.  Each function returns false with a Python exception set if something fails. */
#ifndef OPENDUMP_CORE_NUMBERS_H
#define OPENDUMP_CORE_NUMBERS_H

#include "core_python.h"

#include "core_buffer.h"

/* Puts the shortest digits that mean this finite double, as orjson does.  `write` is orjson.dumps, which is
   asked for what has more than 15 digits or an exponent: it is faster than Python, and its versions differ there. */
bool put_shortest_double(struct buffer *buffer, double value, PyObject *write);

/* Puts a finite 4-byte float as decoder.body.scalars.plain_float and then orjson write it. */
bool put_shortest_float(struct buffer *buffer, float value, PyObject *write);

/* Puts what Python's format(value, ".15g") gives, or with another number of digits; "0" for -0.0. */
bool put_rounded_double(struct buffer *buffer, double value, int digits);

#endif
