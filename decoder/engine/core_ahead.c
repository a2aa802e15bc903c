/* Segments that overtook one of their stream by a few packets, as a mirror port or several queues reorder them.

Nothing is kept for a hole that may stay one: the batch shows beforehand that it is filled, that the connection does
nothing else meanwhile, and that all messages in these segments are proven.  Everything else is left to the stages. */
#include "core_walk.h"

#define MAX_LOOK 64 /* packets of the batch in which the hole must be filled */
#define MAX_AHEAD_BYTES (32 * 1024) /* of payload that waits for it; less than any limit of what may wait */
#define NEAR (1024 * 1024) /* bytes: an acknowledgement further off may be of another connection */

/* Returns true if the packet at a place of the batch does not concern this connection, or is part of the plan, which
   `filled` tells to be complete. */
static bool
fits_plan(struct walker *walker, struct lane *lane, const struct packet *first, const struct packet *packet,
          uint32_t next_seq, uint32_t *expected, bool *filled)
{
    const uint8_t *key = packet->key, *own = first->key;
    bool same = memcmp(key, own, KEY_LEN) == 0;
    bool reverse = memcmp(key, own + 4, 4) == 0 && memcmp(key + 4, own, 4) == 0 && memcmp(key + 8, own + 10, 2) == 0
                   && memcmp(key + 10, own + 8, 2) == 0;
    if (!same && !reverse) {
        PyObject *bytes = PyBytes_FromStringAndSize((const char *)key, KEY_LEN);
        bool known = bytes != NULL && PyDict_GetItemWithError(walker->entries, bytes) != NULL;
        Py_XDECREF(bytes);
        return known;
    }
    size_t size = span_size(packet->payload);
    if (!is_plain(packet) || (reverse && size)) {
        return false;
    }
    if (size == 0) {
        return true;
    }
    uint32_t first_ahead = first->seq;
    if (packet->seq == next_seq) {
        *filled = true;
        lane->fill_number = packet->number;
        return next_seq + (uint32_t)size == first_ahead;
    }
    bool fits = packet->seq == *expected && lane->ahead_count < MAX_AHEAD && *expected + size - first_ahead <= MAX_AHEAD_BYTES
                && packet->ack - first->ack + NEAR < 2 * NEAR;
    if (fits) {
        lane->ahead[lane->ahead_count++] = (struct ahead){Py_NewRef(packet->item), packet->number};
        *expected += (uint32_t)size;
    }
    return fits;
}

/* Finds the packets that are ahead and the one that fills the hole; sets `fill` to that.  Returns false if it is not
   that simple, or with an exception. */
static bool
find_fill(struct walker *walker, struct lane *lane, const struct packet *first, uint32_t next_seq, struct packet *fill)
{
    uint32_t expected = first->seq + (uint32_t)span_size(first->payload);
    int64_t latest = first->time_ns;
    lane->ahead[0] = (struct ahead){Py_NewRef(first->item), first->number};
    lane->ahead_count = 1;
    for (int i = 1; i < MAX_LOOK && walker->at + i < PyList_Size(walker->batch); i++) {
        bool filled = false;
        fill->number = first->number + i;
        if (!read_packet(PyList_GetItem(walker->batch, walker->at + i), fill) || fill->time_ns < latest
            || !fits_plan(walker, lane, first, fill, next_seq, &expected, &filled)) {
            return false;
        }
        if (filled) {
            return true;
        }
        latest = fill->time_ns;
    }
    return false;
}

bool
is_proven(const struct walker *walker, struct lane *lane, const struct origin *origin, struct span bytes,
          const struct part *parts, size_t count)
{
    const uint8_t *begin = bytes.at;
    size_t next = 0;
    while (bytes.at < bytes.end) {
        int64_t size = message_size(walker, lane, bytes);
        bool whole = size > 0 && (size_t)size <= span_size(bytes);
        size_t start = (size_t)(bytes.at - begin), end = whole ? start + (size_t)size : (size_t)(bytes.end - begin);
        for (; next < count && parts[next].start < end; next++) {
            if (parts[next].start > start && begins_with_magic(parts[next].payload)) {
                return false;
            }
        }
        PyObject *plain = whole ? proven(walker, lane, origin, bytes.at) : NULL;
        Py_XDECREF(plain);
        if (size < 0 || (whole && plain == NULL)) {
            return false;
        }
        bytes.at = begin + end;
    }
    return true;
}

/* Returns true if the segments of the plan can be taken without a stage; false also with an exception. */
static bool
rehearse(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *first,
         const struct packet *fill)
{
    struct part parts[MAX_AHEAD + 1];
    struct packet packet = *fill;
    struct buffer bytes = {NULL, 0, 0, false};
    size_t held = lane->bytes.length;
    put_bytes(&bytes, lane->bytes.bytes, held);
    for (size_t i = 0; i <= lane->ahead_count; i++) {
        if (i > 0) {
            read_packet(lane->ahead[i - 1].item, &packet);
        }
        parts[i] = (struct part){bytes.length, packet.payload};
        put_bytes(&bytes, packet.payload.at, span_size(packet.payload));
    }
    bool well = !bytes.failed && lane->count + lane->ahead_count < MAX_PIECES
                && may_hold(walker, lane, bytes.length - held + (lane->ahead_count + 1) * PIECE_COST);
    struct origin origin;
    memset(&origin, 0, sizeof origin);
    if (bytes.failed) {
        PyErr_NoMemory();
    }
    struct span all = {(const uint8_t *)bytes.bytes, (const uint8_t *)bytes.bytes + bytes.length};
    well = well && origin_read(walker, lane, connection, first, &origin)
           && is_proven(walker, lane, &origin, all, parts, lane->ahead_count + 1);
    origin_clear(&origin);
    buffer_free(&bytes);
    return well;
}

void
forget_ahead(struct walker *walker, struct lane *lane)
{
    for (size_t i = 0; i < lane->ahead_count; i++) {
        Py_CLEAR(lane->ahead[i].item);
    }
    walker->planned -= lane->planned;
    lane->planned = false;
    lane->ahead_count = lane->ahead_seen = 0;
}

/* Takes note of a segment that is ahead. */
static enum taken
see_ahead(const struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet)
{
    lane->ahead_seen++;
    bool done = take_ack(walker, lane->half, packet) == TAKEN && note_time(walker, connection, packet);
    return done ? TAKEN : FAILED;
}

enum taken
plan_ahead(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet,
           uint32_t next_seq)
{
    struct packet fill;
    uint32_t distance = packet->seq - next_seq;
    if (distance == 0 || distance > MAX_AHEAD_BYTES || !find_fill(walker, lane, packet, next_seq, &fill)
        || !rehearse(walker, lane, connection, packet, &fill)) {
        forget_ahead(walker, lane);
        return PyErr_Occurred() ? FAILED : LEFT;
    }
    PyObject *answer = PyObject_CallFunction(walker->may_overtake, "OOOk", connection, lane->half, packet->time,
                                             (unsigned long)packet->ack);
    int may = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    if (may <= 0) {
        forget_ahead(walker, lane);
        return may < 0 ? FAILED : LEFT;
    }
    lane->planned = true;
    walker->planned++;
    return see_ahead(walker, lane, connection, packet);
}

enum taken
follow_plan(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet,
            int64_t position)
{
    if (lane->ahead_seen < lane->ahead_count && packet->number == lane->ahead[lane->ahead_seen].number) {
        return see_ahead(walker, lane, connection, packet);
    }
    if (packet->number != lane->fill_number) {
        PyErr_SetString(PyExc_RuntimeError, "the batch has changed");
        return FAILED;
    }
    bool done = take_ack(walker, lane->half, packet) == TAKEN && note_time(walker, connection, packet)
                && take_in_order(walker, lane, connection, packet, position);
    position += (int64_t)span_size(packet->payload);
    for (size_t i = 0; done && i < lane->ahead_count; i++) {
        struct packet ahead;
        ahead.number = lane->ahead[i].number;
        read_packet(lane->ahead[i].item, &ahead);
        done = take_in_order(walker, lane, connection, &ahead, position);
        position += (int64_t)span_size(ahead.payload);
    }
    forget_ahead(walker, lane);
    return done && set_now(walker, lane, packet) ? TAKEN : FAILED;
}
