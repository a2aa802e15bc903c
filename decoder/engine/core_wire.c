/* Reads protobuf's wire format.  Every length is checked where it is read. */
#include "core_types.h"

#define MAX_VARINT 10 /* bytes */

static bool
read_varint(struct span *rest, uint64_t *value)
{
    uint64_t number = 0;
    for (int i = 0; i < MAX_VARINT && rest->at < rest->end; i++) {
        uint8_t byte = *rest->at++;
        if (i == MAX_VARINT - 1 && byte > 1) {
            return false; /* more than 64 bits */
        }
        number |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *value = number;
            return true;
        }
    }
    return false;
}

static bool
read_fixed(struct span *rest, int size, uint64_t *value)
{
    if (span_size(*rest) < (size_t)size) {
        return false;
    }
    const uint8_t *at = rest->at;
    uint64_t low = (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24;
    uint64_t high = 0;
    if (size == 8) {
        high = (uint64_t)at[4] | (uint64_t)at[5] << 8 | (uint64_t)at[6] << 16 | (uint64_t)at[7] << 24;
    }
    *value = low | high << 32; /* in this form compilers see that it is one load */
    rest->at += size;
    return true;
}

static bool
read_bytes(struct span *rest, struct span *bytes)
{
    uint64_t size;
    if (!read_varint(rest, &size) || size > span_size(*rest)) {
        return false;
    }
    bytes->at = rest->at;
    bytes->end = rest->at += size;
    return true;
}

/* Reads a tag of one or two bytes, which is every tag of the schema in its shortest form. */
static bool
read_tag(struct span *rest, unsigned *tag)
{
    if (rest->at == rest->end) {
        return false;
    }
    *tag = *rest->at++;
    if (*tag < 0x80) {
        return true;
    }
    if (rest->at == rest->end || *rest->at == 0 || *rest->at >= 0x40) {
        return false;
    }
    *tag = (*tag & 0x7F) | (unsigned)*rest->at++ << 7;
    return true;
}

static bool
read_value(const struct field *field, struct span *rest, struct value *value)
{
    switch (field->wire_type) {
    case VARINT: return read_varint(rest, &value->number);
    case FIXED64: return read_fixed(rest, 8, &value->number);
    case FIXED32: return read_fixed(rest, 4, &value->number);
    case LENGTH: return read_bytes(rest, &value->bytes) && (field->kind != STRING || is_utf8(value->bytes));
    }
    return false;
}

/* Reads a packed list of at least one item; an empty one is nothing that a client writes. */
static bool
read_packed(const struct field *field, struct span *rest, struct slot *slot)
{
    struct span packed;
    if (!read_bytes(rest, &packed) || packed.at == packed.end) {
        return false;
    }
    while (packed.at < packed.end) {
        struct value value;
        if (!read_value(field, &packed, &value)) {
            return false;
        }
        if (slot->items++ == 0) {
            slot->first = value;
        }
    }
    return true;
}

static bool
read_field(const struct field *field, unsigned wire_type, struct span *rest, struct slot *slot)
{
    if (wire_type != field->wire_type) {
        return field->repeated && wire_type == LENGTH && read_packed(field, rest, slot);
    }
    struct value value = {0, {NULL, NULL}};
    if (!read_value(field, rest, &value)) {
        return false;
    }
    if (slot->items++ == 0) {
        slot->first = value;
    }
    return true;
}

bool
find_fields(const struct type *type, struct span rest, struct slot *slots)
{
    unsigned required = 0;
    memset(slots, 0, type->count * sizeof *slots);
    while (rest.at < rest.end) {
        const uint8_t *start = rest.at;
        unsigned tag;
        if (!read_tag(&rest, &tag) || tag >> 3 > MAX_NUMBER || type->places[tag >> 3] == 0) {
            return false;
        }
        size_t place = type->places[tag >> 3] - 1u;
        const struct field *field = &type->fields[place];
        struct slot *slot = &slots[place];
        if (slot->items == 0) {
            slot->all.at = start;
            required += field->required;
        } else if (!field->repeated || slot->all.end != start) {
            return false;
        }
        if (!read_field(field, tag & 7, &rest, slot)) {
            return false;
        }
        slot->all.end = rest.at;
    }
    return required == type->required;
}

struct items
items_of(const struct field *field, const struct slot *slot)
{
    struct items items = {field, slot->all, {NULL, NULL}};
    return items;
}

bool
next_item(struct items *items, struct value *value)
{
    unsigned tag;
    if (items->packed.at == items->packed.end) {
        if (!read_tag(&items->rest, &tag)) {
            return false;
        }
        if ((tag & 7) == (unsigned)items->field->wire_type) {
            return read_value(items->field, &items->rest, value);
        }
        if (!read_bytes(&items->rest, &items->packed)) {
            return false;
        }
    }
    return read_value(items->field, &items->packed, value);
}

bool
is_ordinary(const struct type *type, struct span bytes)
{
    struct slot slots[MAX_FIELDS];
    if (!find_fields(type, bytes, slots)) {
        return false;
    }
    for (int i = 0; i < type->count; i++) {
        const struct field *field = &type->fields[i];
        if (field->kind != MESSAGE) {
            continue;
        }
        struct items items = items_of(field, &slots[i]);
        struct value value;
        for (uint32_t k = 0; k < slots[i].items; k++) {
            if (!next_item(&items, &value) || !is_ordinary(field->inner, value.bytes)) {
                return false;
            }
        }
    }
    return true;
}

int64_t
integer_of(enum kind kind, uint64_t number)
{
    switch (kind) {
    case BOOL: return number != 0;
    case INT32: return (int64_t)(int32_t)(uint32_t)number;
    case UINT32: return (int64_t)(uint32_t)number;
    default: return (int64_t)number;
    }
}

double
double_of(uint64_t number)
{
    double value;
    memcpy(&value, &number, sizeof value);
    return value;
}

float
float_of(uint64_t number)
{
    uint32_t bits = (uint32_t)number;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
