/* Doubles and floats as text.  Each function returns false with a Python exception set if something fails. */
#ifndef OPENDUMP_CORE_NUMBERS_H
#define OPENDUMP_CORE_NUMBERS_H

#include "core_python.h"

#include "core_buffer.h"

/* Puts the shortest digits that mean this finite double, as orjson does.  `write` is orjson.dumps: it is asked for what
   has an exponent, because its versions differ there (1e16, 1e+16), and for -0.0. */
bool put_shortest_double(struct buffer *buffer, double value, PyObject *write);

/* Puts a finite 4-byte float as decoder.body.scalars.plain_float and then orjson write it. */
bool put_shortest_float(struct buffer *buffer, float value, PyObject *write);

/* Puts what Python's format(value, ".15g") gives, or with another number of digits. */
bool put_rounded_double(struct buffer *buffer, double value, int digits);

#endif
