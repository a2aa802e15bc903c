/* The buffer, and texts and integers in it. */
#include "core_python.h"

#include "core_buffer.h"

#define SMALLEST 4096 /* bytes of the first allocation: a usual message */

void
buffer_free(struct buffer *buffer)
{
    PyMem_Free(buffer->bytes);
    memset(buffer, 0, sizeof *buffer);
}

bool
buffer_grow(struct buffer *buffer, size_t size)
{
    if (buffer->failed || size > (size_t)PY_SSIZE_T_MAX / 2 - buffer->length) {
        buffer->failed = true;
        return false;
    }
    size_t capacity = (buffer->length + size) * 2; /* cannot overflow: see above */
    if (capacity < SMALLEST) {
        capacity = SMALLEST;
    }
    char *bytes = PyMem_Realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

void
put_unsigned(struct buffer *buffer, uint64_t value)
{
    char digits[20];
    int first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put_bytes(buffer, digits + first, sizeof digits - (size_t)first);
}

void
put_signed(struct buffer *buffer, int64_t value)
{
    if (value < 0) {
        put_char(buffer, '-');
        put_unsigned(buffer, 0 - (uint64_t)value); /* the lowest number has no positive twin in int64_t */
    } else {
        put_unsigned(buffer, (uint64_t)value);
    }
}

void
put_padded(struct buffer *buffer, uint64_t value, int digits)
{
    char text[20];
    for (int i = digits - 1; i >= 0; i--) {
        text[i] = (char)('0' + value % 10);
        value /= 10;
    }
    put_bytes(buffer, text, (size_t)digits);
}

void
put_hex(struct buffer *buffer, struct span bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (; bytes.at < bytes.end; bytes.at++) {
        put_char(buffer, digits[*bytes.at >> 4]);
        put_char(buffer, digits[*bytes.at & 15]);
    }
}

void
put_base64(struct buffer *buffer, struct span bytes)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (bytes.at < bytes.end) {
        size_t size = span_size(bytes);
        uint32_t three = (uint32_t)bytes.at[0] << 16;
        three |= size > 1 ? (uint32_t)bytes.at[1] << 8 : 0;
        three |= size > 2 ? (uint32_t)bytes.at[2] : 0;
        char four[4] = {alphabet[three >> 18], alphabet[three >> 12 & 63], '=', '='};
        if (size > 1) {
            four[2] = alphabet[three >> 6 & 63];
        }
        if (size > 2) {
            four[3] = alphabet[three & 63];
        }
        put_bytes(buffer, four, sizeof four);
        bytes.at += size > 2 ? 3 : size;
    }
}

/* Returns the number of bytes of the UTF-8 character at `text.at`, which is not ASCII; 0 if there is no valid one. */
static size_t
utf8_size(struct span text)
{
    uint8_t first = text.at[0];
    size_t size = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (size == 0 || size > span_size(text)) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((text.at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    uint8_t second = text.at[1];
    bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    bool surrogate = first == 0xED && second > 0x9F;
    bool beyond_unicode = first == 0xF4 && second > 0x8F;
    return overlong || surrogate || beyond_unicode ? 0 : size;
}

bool
is_utf8(struct span text)
{
    while (text.at < text.end) {
        uint64_t eight;
        if (span_size(text) >= sizeof eight) {
            memcpy(&eight, text.at, sizeof eight);
            if (!(eight & UINT64_C(0x8080808080808080))) { /* ASCII */
                text.at += sizeof eight;
                continue;
            }
        }
        if (*text.at < 0x80) {
            text.at++;
            continue;
        }
        size_t size = utf8_size(text);
        if (size == 0) {
            return false;
        }
        text.at += size;
    }
    return true;
}

/* Returns the number of bytes at the beginning that stand in a JSON string as they are. */
static size_t
plain_size(struct span text)
{
    const uint8_t *at = text.at;
    while (at < text.end && *at >= 0x20 && *at != '"' && *at != '\\') {
        at++;
    }
    return (size_t)(at - text.at);
}

void
put_json_string(struct buffer *buffer, struct span text)
{
    put_char(buffer, '"');
    for (;;) {
        size_t size = plain_size(text);
        put_bytes(buffer, text.at, size);
        text.at += size;
        if (text.at == text.end) {
            break;
        }
        uint8_t byte = *text.at++;
        put_char(buffer, '\\');
        switch (byte) {
        case '"':
        case '\\': put_char(buffer, (char)byte); break;
        case '\b': put_char(buffer, 'b'); break;
        case '\t': put_char(buffer, 't'); break;
        case '\n': put_char(buffer, 'n'); break;
        case '\f': put_char(buffer, 'f'); break;
        case '\r': put_char(buffer, 'r'); break;
        default:
            put_literal(buffer, "u00");
            put_hex(buffer, (struct span){&byte, &byte + 1});
        }
    }
    put_char(buffer, '"');
}
