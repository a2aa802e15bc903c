/* The loop over packets. */
#include "core_walk.h"

/* Places and values in a packet of Ethernet, IPv4 without options, and TCP; as ETHERNET_IPV4_TCP in packet/dissector.py. */
enum {
    LINKTYPE_ETHERNET = 1,
    IP_AT = 14, TOTAL_AT = 16, FRAGMENT_AT = 20, PROTOCOL_AT = 23, KEY_AT = 26, TCP_AT = 34, SEQ_AT = 38, ACK_AT = 42,
    OFFSET_AT = 46, FLAGS_AT = 47, SHORTEST = 54,
    TCP_PROTOCOL = 6,
    FRAGMENTED = 0x3FFF, /* more fragments, or an offset */
    FLAG_ACK = 0x10,
    KIND_FLAGS = 0x37,   /* all but PSH and those of ECN */
};

static uint32_t
read_big(const uint8_t *at, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

int
get_truth(const struct walker *walker, PyObject *object, enum name name)
{
    PyObject *value = get(walker, object, name);
    int truth = value == NULL ? -1 : PyObject_IsTrue(value);
    Py_XDECREF(value);
    return truth;
}

bool
get_integer(const struct walker *walker, PyObject *object, enum name name, int64_t *value)
{
    PyObject *number = get(walker, object, name);
    *value = number == NULL ? -1 : PyLong_AsLongLong(number);
    Py_XDECREF(number);
    return *value != -1 || !PyErr_Occurred();
}

bool
set_object(const struct walker *walker, PyObject *object, enum name name, PyObject *value)
{
    return PyObject_SetAttr(object, walker->names[name], value) == 0;
}

bool
set_integer(const struct walker *walker, PyObject *object, enum name name, int64_t value)
{
    PyObject *number = PyLong_FromLongLong(value);
    bool done = number != NULL && set_object(walker, object, name, number);
    Py_XDECREF(number);
    return done;
}

bool
read_packet(PyObject *item, struct packet *packet)
{
    if (!PyTuple_Check(item) || PyTuple_Size(item) != 4) {
        return false;
    }
    packet->item = item;
    packet->time = PyTuple_GetItem(item, 0);
    PyObject *linktype = PyTuple_GetItem(item, 1), *data = PyTuple_GetItem(item, 2);
    if (!PyLong_Check(packet->time) || !PyLong_Check(linktype) || !PyBytes_Check(data)) {
        return false;
    }
    int overflow;
    if (PyLong_AsLongAndOverflow(linktype, &overflow) != LINKTYPE_ETHERNET || PyBytes_Size(data) < SHORTEST) {
        return false;
    }
    packet->time_ns = PyLong_AsLongLongAndOverflow(packet->time, &overflow);
    const uint8_t *at = (const uint8_t *)PyBytes_AsString(data);
    size_t captured = (size_t)PyBytes_Size(data);
    bool usual = read_big(at + IP_AT - 2, 3) == 0x080045 && !(read_big(at + FRAGMENT_AT, 2) & FRAGMENTED)
                 && at[PROTOCOL_AT] == TCP_PROTOCOL && at[OFFSET_AT] >= 0x50;
    size_t start = TCP_AT + (size_t)(at[OFFSET_AT] >> 4) * 4, end = IP_AT + (size_t)read_big(at + TOTAL_AT, 2);
    if (overflow || !usual || start > end || end > captured) {
        return false;
    }
    packet->key = at + KEY_AT;
    packet->seq = read_big(at + SEQ_AT, 4);
    packet->ack = read_big(at + ACK_AT, 4);
    packet->flags = at[FLAGS_AT];
    packet->payload = (struct span){at + start, at + end};
    return true;
}

bool
is_plain(const struct packet *packet)
{
    return (packet->flags & KIND_FLAGS) == FLAG_ACK;
}

enum taken
take_ack(const struct walker *walker, PyObject *half, const struct packet *packet)
{
    PyObject *seq = PyLong_FromUnsignedLong(packet->seq);
    PyObject *ack = seq == NULL ? NULL : PyLong_FromUnsignedLong(packet->ack);
    PyObject *stream = ack == NULL ? NULL : get(walker, half, N_STREAM);
    int64_t next_seq, last;
    bool read = stream != NULL && get_integer(walker, stream, N_NEXT_SEQ, &next_seq)
                && get_integer(walker, half, N_ACK, &last);
    bool done = false;
    if (read && next_seq == packet->seq && (last < 0 || packet->ack - (uint32_t)last < 0x80000000u)) {
        done = set_object(walker, half, N_ACK, ack);
    } else if (read) {
        PyObject *result = PyObject_CallMethodObjArgs(half, walker->names[N_ACKNOWLEDGE], seq, ack, NULL);
        Py_XDECREF(result);
        done = result != NULL;
    }
    Py_XDECREF(seq);
    Py_XDECREF(ack);
    Py_XDECREF(stream);
    return done ? TAKEN : FAILED;
}

bool
feed_rest(const struct walker *walker, PyObject *connection, PyObject *half, struct span bytes, int64_t number,
          PyObject *time, int64_t offset)
{
    PyObject *data = PyBytes_FromStringAndSize((const char *)bytes.at, (Py_ssize_t)span_size(bytes));
    PyObject *done = data == NULL ? NULL
                                  : PyObject_CallFunction(walker->feed_rest, "OOOOLOL", walker->table, connection, half,
                                                          data, (long long)number, time, (long long)offset);
    Py_XDECREF(data);
    Py_XDECREF(done);
    return done != NULL;
}

/* Gives what is held of both directions to the framers; returns false with an exception. */
static bool
release_connection(struct walker *walker, PyObject *connection)
{
    PyObject *halves = walker->held ? get(walker, connection, N_HALVES) : Py_NewRef(Py_None);
    PyObject *client, *server;
    bool done = halves == Py_None
                || (halves != NULL && PyArg_ParseTuple(halves, "OO:halves", &client, &server)
                    && release_half(walker, client) && release_half(walker, server));
    Py_XDECREF(halves);
    return done;
}

/* Emits what a payload completes, holds or hands to the framer what is left; `position` is where it stands. */
static bool
take_payload(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet,
             int64_t position)
{
    struct span payload = packet->payload;
    PyObject *framer = get(walker, lane->half, N_FRAMER);
    int at_boundary = framer == NULL ? -1 : get_truth(walker, framer, N_AT_BOUNDARY);
    Py_XDECREF(framer);
    enum taken taken = at_boundary < 0 ? FAILED : at_boundary ? TAKEN : LEFT;
    if (taken == TAKEN) {
        struct origin origin;
        taken = origin_read(walker, lane, connection, packet, &origin) ? TAKEN : FAILED;
        if (taken == TAKEN && lane->count) {
            taken = add_to_held(walker, lane, &origin, packet, &payload);
        }
        if (taken == TAKEN && payload.at != payload.end && !emit_whole(walker, lane, &origin, &payload)) {
            taken = FAILED;
        }
        origin_clear(&origin);
    }
    int64_t offset = position + (payload.at - packet->payload.at);
    if (taken == TAKEN && payload.at != payload.end) {
        taken = hold_beginning(walker, lane, connection, packet, payload, offset);
    }
    if (taken == LEFT) {
        return release_connection(walker, connection)
               && feed_rest(walker, connection, lane->half, payload, packet->number, packet->time, offset);
    }
    return taken == TAKEN;
}

bool
note_time(const struct walker *walker, PyObject *connection, const struct packet *packet)
{
    PyObject *last = get(walker, connection, N_LAST_NS);
    int later = last == NULL ? -1 : PyObject_RichCompareBool(packet->time, last, Py_GT);
    Py_XDECREF(last);
    return later == 0 || (later > 0 && set_object(walker, connection, N_LAST_NS, packet->time));
}

bool
take_in_order(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet, int64_t position)
{
    size_t size = span_size(packet->payload);
    return set_integer(walker, lane->stream, N_POSITION, position + (int64_t)size)
           && set_integer(walker, lane->stream, N_NEXT_SEQ, (uint32_t)(packet->seq + (uint32_t)size))
           && take_payload(walker, lane, connection, packet, position);
}

/* Takes a segment with payload, if it is the next of its stream, or soon will be. */
static enum taken
take_data(struct walker *walker, PyObject *connection, PyObject *half, const struct packet *packet)
{
    int64_t next_seq, position;
    struct lane *lane = lane_of(walker, connection, half);
    if (lane == NULL) {
        return PyErr_Occurred() ? FAILED : LEFT;
    }
    if (!get_integer(walker, lane->stream, N_NEXT_SEQ, &next_seq)
        || !get_integer(walker, lane->stream, N_POSITION, &position)) {
        return FAILED;
    }
    if (lane->planned) {
        return follow_plan(walker, lane, connection, packet, position);
    }
    if (next_seq != packet->seq) {
        return plan_ahead(walker, lane, connection, packet, (uint32_t)next_seq);
    }
    bool done = set_integer(walker, half, N_ACK, packet->ack) && set_object(walker, connection, N_LAST_NS, packet->time)
                && take_in_order(walker, lane, connection, packet, position);
    return done ? TAKEN : FAILED;
}

/* Takes a packet, or leaves it to the stages: then nothing is held of what they will look at. */
static enum taken
take(struct walker *walker, const struct packet *packet)
{
    bool usual = is_plain(packet);
    PyObject *key = PyBytes_FromStringAndSize((const char *)packet->key, KEY_LEN);
    PyObject *entry = key == NULL ? NULL : PyDict_GetItemWithError(walker->entries, key);
    Py_XDECREF(key);
    if (entry == NULL) {
        return !PyErr_Occurred() && release_held(walker) ? LEFT : FAILED; /* a new connection may end others */
    }
    PyObject *connection, *half;
    if (!PyArg_ParseTuple(entry, "OO:entry", &connection, &half)) {
        return FAILED;
    }
    Py_INCREF(entry); /* the stages may forget it meanwhile */
    int slow = usual ? get_truth(walker, connection, N_NEEDS_SLOW_PATH) : 1;
    enum taken taken = slow < 0 ? FAILED : LEFT;
    if (slow == 0) {
        bool empty = packet->payload.at == packet->payload.end;
        taken = empty ? take_ack(walker, half, packet) : take_data(walker, connection, half, packet);
    }
    if (taken == LEFT && !release_connection(walker, connection)) {
        taken = FAILED;
    }
    Py_DECREF(entry);
    return taken;
}

/* Adds to the table's count of segments, and sets the time of its last packet. */
static bool
note_in_table(const struct walker *walker, long segments, PyObject *time)
{
    int64_t before;
    return (segments == 0 || (get_integer(walker, walker->table, N_SEGMENTS, &before)
                              && set_integer(walker, walker->table, N_SEGMENTS, before + segments)))
           && (time == NULL || set_object(walker, walker->table, N_LATEST_NS, time));
}

bool
take_batch(struct walker *walker, PyObject *batch, Py_ssize_t *at, int64_t number)
{
    int beyond = 0; /* of 64 bits */
    PyObject *time = NULL, *before = get(walker, walker->table, N_LATEST_NS);
    int64_t latest = before == NULL ? 0 : PyLong_AsLongLongAndOverflow(before, &beyond);
    Py_XDECREF(before);
    if (PyErr_Occurred()) {
        return false;
    }
    long segments = 0;
    enum taken taken = TAKEN;
    walker->batch = batch;
    while (taken == TAKEN && *at < PyList_Size(batch)) {
        PyObject *item = Py_NewRef(PyList_GetItem(batch, *at));
        struct packet packet;
        packet.number = ++number;
        walker->at = *at;
        walker->packet = &packet;
        bool usual = read_packet(item, &packet) && !beyond && packet.time_ns >= latest;
        taken = usual ? take(walker, &packet) : release_held(walker) ? LEFT : FAILED;
        if (taken == TAKEN) {
            latest = packet.time_ns;
            Py_XDECREF(time);
            time = Py_NewRef(packet.time);
            segments += packet.payload.at != packet.payload.end;
            ++*at;
        }
        Py_DECREF(item);
    }
    walker->batch = NULL;
    walker->packet = NULL;
    bool done = taken != FAILED && note_in_table(walker, segments, time);
    Py_XDECREF(time);
    return done;
}
