/* Bytes to read, with their end, and a buffer to write into. */
#ifndef OPENDUMP_CORE_BUFFER_H
#define OPENDUMP_CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that belong to somebody else; every function that reads moves `at` and never passes `end`. */
struct span {
    const uint8_t *at;
    const uint8_t *end;
};

static inline size_t
span_size(struct span span)
{
    return (size_t)(span.end - span.at);
}

/* Bytes that grow.  After a failed allocation `failed` stays set and what is put is dropped: one look at the end is
   enough.  Begin with all zeros; end with buffer_free. */
struct buffer {
    char *bytes;
    size_t length;
    size_t capacity;
    bool failed;
};

void buffer_free(struct buffer *buffer);

/* Makes room for `size` more bytes; use buffer_reserve. */
bool buffer_grow(struct buffer *buffer, size_t size);

/* Returns where `size` bytes may be written, or NULL if there is no memory; the caller adds to `length` afterwards. */
static inline char *
buffer_reserve(struct buffer *buffer, size_t size)
{
    if (size > buffer->capacity - buffer->length && !buffer_grow(buffer, size)) {
        return NULL;
    }
    return buffer->bytes + buffer->length;
}

static inline void
put_bytes(struct buffer *buffer, const void *bytes, size_t size)
{
    char *to = buffer_reserve(buffer, size);
    if (to != NULL && size) {
        memcpy(to, bytes, size);
        buffer->length += size;
    }
}

static inline void
put_char(struct buffer *buffer, char character)
{
    put_bytes(buffer, &character, 1);
}

#define put_literal(buffer, text) put_bytes((buffer), (text), sizeof(text) - 1)

void put_unsigned(struct buffer *buffer, uint64_t value);
void put_signed(struct buffer *buffer, int64_t value);

/* Puts the last `digits` decimal digits of `value`, at most 20. */
void put_padded(struct buffer *buffer, uint64_t value, int digits);

/* Puts the bytes as hexadecimal digits. */
void put_hex(struct buffer *buffer, struct span bytes);

/* Puts the bytes as base64, without quotes. */
void put_base64(struct buffer *buffer, struct span bytes);

/* Puts UTF-8 as a JSON string, with its quotes and escapes. */
void put_json_string(struct buffer *buffer, struct span text);

/* Returns true if all of the bytes are UTF-8 as Python's strict decoder takes it. */
bool is_utf8(struct span text);

#endif
