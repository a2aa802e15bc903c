/* Messages of several packets: the beginning is held until the rest is there, then emitted as a whole one is.

The framer would do the same with it, unless it looks for headers in it, so that is what is asked first.  Whatever is not
as expected is given to the framer packet by packet, as if it had come there. */
#include "core_walk.h"

#define MAX_MESSAGE (256 * 1024) /* bytes; in a longer one the framer looks for headers (_FIRST_LOOK there) */

static void
drop_held(struct walker *walker, struct lane *lane)
{
    Py_CLEAR(lane->connection);
    if (lane->count == 0) {
        return;
    }
    *(lane->before == NULL ? &walker->holding : &lane->before->after) = lane->after;
    if (lane->after != NULL) {
        lane->after->before = lane->before;
    }
    lane->before = lane->after = NULL;
    for (size_t i = 0; i < lane->count; i++) {
        Py_DECREF(lane->pieces[i].time);
    }
    walker->held -= lane->bytes.length + lane->count * PIECE_COST;
    lane->count = 0;
    buffer_free(&lane->bytes); /* there are thousands of lanes */
}

static void
lane_free(struct walker *walker, struct lane *lane)
{
    drop_held(walker, lane);
    forget_ahead(walker, lane);
    opened_free(lane->opened);
    Py_XDECREF(lane->half);
    Py_XDECREF(lane->stream);
    Py_XDECREF(lane->flow);
    Py_XDECREF(lane->shared);
    Py_XDECREF(lane->conflicts);
    Py_XDECREF(lane->pairing);
    Py_XDECREF(lane->results);
    Py_XDECREF(lane->counts);
    buffer_free(&lane->bytes);
    PyMem_Free(lane->pieces);
    PyMem_Free(lane);
}

void
forget_lanes(struct walker *walker)
{
    for (size_t i = 0; walker->lanes != NULL && i < LANE_SLOTS; i++) {
        if (walker->lanes[i] != NULL) {
            lane_free(walker, walker->lanes[i]);
        }
    }
    PyMem_Free(walker->lanes);
    walker->lanes = NULL;
    walker->lane_count = 0;
}

int
lanes_traverse(const struct walker *walker, visitproc visit, void *arg)
{
    for (size_t i = 0; walker->lanes != NULL && i < LANE_SLOTS; i++) {
        struct lane *lane = walker->lanes[i];
        if (lane != NULL) {
            Py_VISIT(lane->half);
            Py_VISIT(lane->stream);
            Py_VISIT(lane->flow);
            Py_VISIT(lane->shared);
            Py_VISIT(lane->conflicts);
            Py_VISIT(lane->pairing);
            Py_VISIT(lane->results);
            Py_VISIT(lane->counts);
            Py_VISIT(lane->connection);
            if (lane->opened != NULL) {
                Py_VISIT(lane->opened->decrypt);
                Py_VISIT(lane->opened->cipher);
            }
        }
    }
    return 0;
}

/* Reads the objects of a lane; returns false with an exception. */
static bool
lane_read(const struct walker *walker, struct lane *lane, PyObject *connection, PyObject *half)
{
    lane->half = Py_NewRef(half);
    PyObject *info = get(walker, connection, N_INFO);
    lane->counts = info == NULL ? NULL : get(walker, info, N_MESSAGES);
    Py_XDECREF(info);
    bool read = lane->counts != NULL && (lane->stream = get(walker, half, N_STREAM)) != NULL
                && (lane->flow = get(walker, half, N_FLOW)) != NULL
                && (lane->shared = get(walker, half, N_SHARED)) != NULL
                && (lane->conflicts = get(walker, half, N_CONFLICTS)) != NULL
                && (lane->pairing = get(walker, connection, N_PAIRING)) != NULL
                && (lane->results = get(walker, connection, N_RESULTS)) != NULL;
    PyObject *limits = read ? get(walker, lane->shared, N_LIMITS) : NULL;
    read = limits != NULL && get_integer(walker, limits, N_MAX_BODY, &lane->max_body);
    Py_XDECREF(limits);
    return read;
}

/* Returns where the lane of a direction is, or is to be. */
static struct lane **
lane_slot(const struct walker *walker, PyObject *half)
{
    size_t slot = (uintptr_t)half / 16 % LANE_SLOTS;
    while (walker->lanes[slot] != NULL && walker->lanes[slot]->half != half) {
        slot = (slot + 1) % LANE_SLOTS; /* not all are taken: MAX_LANES */
    }
    return &walker->lanes[slot];
}

struct lane *
lane_of(struct walker *walker, PyObject *connection, PyObject *half)
{
    if (walker->lanes == NULL) {
        walker->lanes = PyMem_Calloc(LANE_SLOTS, sizeof *walker->lanes);
        if (walker->lanes == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
    }
    struct lane **slot = lane_slot(walker, half);
    if (*slot != NULL || walker->lane_count == MAX_LANES) {
        return *slot;
    }
    struct lane *lane = PyMem_Calloc(1, sizeof *lane);
    if (lane == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    if (!lane_read(walker, lane, connection, half)) {
        lane_free(walker, lane);
        return NULL;
    }
    *slot = lane;
    walker->lane_count++;
    return lane;
}

/* Gives what a lane holds to its framer; returns false with an exception. */
static bool
release_lane(struct walker *walker, struct lane *lane)
{
    if (lane->count == 0) {
        return true;
    }
    PyObject *now = get(walker, lane->shared, N_NOW); /* that of a packet behind these */
    bool well = now != NULL;
    size_t start = 0;
    for (size_t i = 0; well && i < lane->count; i++) {
        const uint8_t *bytes = (const uint8_t *)lane->bytes.bytes;
        struct piece piece = lane->pieces[i];
        struct span span = {bytes + start, bytes + piece.end};
        well = feed_rest(walker, lane->connection, lane->half, span, piece.number, piece.time,
                         lane->offset + (int64_t)start);
        start = piece.end;
    }
    well = well && set_object(walker, lane->shared, N_NOW, now);
    Py_XDECREF(now);
    drop_held(walker, lane);
    return well;
}

bool
release_half(struct walker *walker, PyObject *half)
{
    struct lane *lane = walker->held ? *lane_slot(walker, half) : NULL;
    return lane == NULL || release_lane(walker, lane);
}

bool
release_held(struct walker *walker)
{
    bool well = true;
    while (well && walker->holding != NULL) {
        well = release_lane(walker, walker->holding);
    }
    return well;
}

/* Adds bytes to what is held, and the packet that brought them; returns false with an exception. */
static bool
append(struct walker *walker, struct lane *lane, const struct packet *packet, struct span bytes)
{
    if (lane->count == lane->room) {
        size_t room = lane->room ? 4 * lane->room : 4;
        struct piece *grown = PyMem_Realloc(lane->pieces, room * sizeof *grown);
        if (grown == NULL) {
            PyErr_NoMemory();
            return false;
        }
        lane->pieces = grown;
        lane->room = room;
    }
    size_t before = lane->bytes.length;
    put_bytes(&lane->bytes, bytes.at, span_size(bytes));
    if (lane->bytes.failed) {
        lane->bytes.failed = false;
        PyErr_NoMemory();
        return false;
    }
    if (lane->count == 0) {
        lane->after = walker->holding;
        walker->holding = lane;
        if (lane->after != NULL) {
            lane->after->before = lane;
        }
    }
    walker->held += lane->bytes.length - before + PIECE_COST;
    lane->pieces[lane->count++] = (struct piece){packet->number, Py_NewRef(packet->time), lane->bytes.length};
    return true;
}

bool
set_now(const struct walker *walker, const struct lane *lane, const struct packet *packet)
{
    PyObject *now = PyObject_CallFunction(walker->arrival, "(L)O", (long long)packet->number, packet->time);
    bool done = now != NULL && set_object(walker, lane->shared, N_NOW, now);
    Py_XDECREF(now);
    return done;
}

int64_t
message_size(const struct walker *walker, const struct lane *lane, struct span head)
{
    static const char magic[] = "FT";
    if (memcmp(head.at, magic, span_size(head) < 2 ? span_size(head) : 2) != 0) {
        return -1;
    }
    if (span_size(head) < HEADER_LEN) {
        return 0;
    }
    int64_t size = read_u32(head.at + BODY_LEN_AT);
    bool usual = size <= lane->max_body && size <= MAX_MESSAGE - HEADER_LEN
                 && read_u32(head.at + PROTO_ID_AT) != walker->handshake;
    return usual ? size + HEADER_LEN : -1;
}

bool
may_hold(const struct walker *walker, const struct lane *lane, size_t more)
{
    if (walker->held + more > walker->may_hold || PyObject_Size(lane->conflicts) != 0) {
        return false;
    }
    int64_t counted;
    PyObject *framer = get(walker, lane->half, N_FRAMER);
    bool may = framer != NULL && get_truth(walker, lane->shared, N_DIRECTION_KNOWN) > 0
               && get_truth(walker, framer, N_AT_BOUNDARY) > 0
               && get_integer(walker, lane->half, N_COUNTED, &counted) && counted == 0;
    Py_XDECREF(framer);
    return may;
}

enum taken
hold_beginning(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet, struct span payload,
     int64_t offset)
{
    int64_t size = message_size(walker, lane, payload);
    bool incomplete = size == 0 || size > (int64_t)span_size(payload);
    if (size < 0 || !incomplete || !may_hold(walker, lane, span_size(payload) + PIECE_COST)) {
        return PyErr_Occurred() ? FAILED : LEFT;
    }
    lane->connection = Py_NewRef(connection);
    lane->offset = offset;
    if (!append(walker, lane, packet, payload) || !set_now(walker, lane, packet)) {
        return FAILED;
    }
    return TAKEN;
}

/* Sets what brought the message that is held and complete with this packet; returns false with an exception. */
static bool
origin_of_all(const struct lane *lane, const struct packet *packet, struct origin *origin)
{
    int64_t numbers[MAX_PIECES + 1];
    int64_t last = packet->number;
    size_t count = 0;
    for (size_t i = 0; i <= lane->count; i++) {
        int64_t number = i < lane->count ? lane->pieces[i].number : packet->number;
        size_t place = count;
        while (place > 0 && numbers[place - 1] > number) { /* few packets overtook others */
            place--;
        }
        if (place == 0 || numbers[place - 1] != number) {
            memmove(numbers + place + 1, numbers + place, (count - place) * sizeof *numbers);
            numbers[place] = number;
            count++;
        }
        if (number > last) {
            last = number;
            origin->time = lane->pieces[i].time;
        }
    }
    PyObject *frames = PyTuple_New((Py_ssize_t)count);
    for (size_t i = 0; frames != NULL && i < count; i++) {
        PyObject *number = PyLong_FromLongLong(numbers[i]);
        if (number == NULL || PyTuple_SetItem(frames, (Py_ssize_t)i, number) < 0) {
            Py_CLEAR(frames);
        }
    }
    origin->frames = frames;
    return frames != NULL;
}

/* Emits the message that is held and complete with this packet.  LEFT: it is not proven. */
static enum taken
emit_held(struct walker *walker, struct lane *lane, const struct origin *origin, const struct packet *packet)
{
    const uint8_t *header = (const uint8_t *)lane->bytes.bytes;
    PyObject *plain = PyObject_Size(lane->conflicts) == 0 ? proven(walker, lane, origin, header) : NULL;
    if (plain == NULL) {
        return PyErr_Occurred() ? FAILED : LEFT;
    }
    struct origin all = *origin; /* its references but one */
    PyObject *noted = !origin_of_all(lane, packet, &all) ? NULL
                                         : PyObject_CallFunction(walker->pass_over, "OOLn", origin->connection,
                                                                 lane->half, (long long)lane->offset,
                                                                 (Py_ssize_t)lane->bytes.length);
    bool done = noted != NULL && set_now(walker, lane, packet) && emit_message(walker, lane, &all, header, plain);
    Py_XDECREF(noted);
    Py_XDECREF(all.frames);
    Py_DECREF(plain);
    return done ? TAKEN : FAILED;
}

enum taken
add_to_held(struct walker *walker, struct lane *lane, const struct origin *origin, const struct packet *packet,
            struct span *payload)
{
    uint8_t start[HEADER_LEN];
    size_t held = lane->bytes.length, had = held < HEADER_LEN ? held : HEADER_LEN;
    size_t more = span_size(*payload) < HEADER_LEN - had ? span_size(*payload) : HEADER_LEN - had;
    memcpy(start, lane->bytes.bytes, had);
    memcpy(start + had, payload->at, more);
    int64_t size = message_size(walker, lane, (struct span){start, start + had + more});
    bool completes = size > 0 && (size_t)size - held <= span_size(*payload);
    struct span taken = {payload->at, completes ? payload->at + ((size_t)size - held) : payload->end};
    bool fits = size >= 0 && lane->count < MAX_PIECES
                && walker->held + span_size(taken) + PIECE_COST <= walker->may_hold && !begins_with_magic(*payload);
    /* If the framer waits for something behind a message, it is not to come out yet. */
    fits = fits && (!completes || is_proven(walker, lane, origin, (struct span){taken.end, payload->end}, NULL, 0));
    enum taken done = PyErr_Occurred() ? FAILED : LEFT;
    if (fits && !completes) {
        done = append(walker, lane, packet, taken) && set_now(walker, lane, packet) ? TAKEN : FAILED;
    } else if (fits) {
        put_bytes(&lane->bytes, taken.at, span_size(taken));
        if (lane->bytes.failed) {
            lane->bytes.failed = false;
            PyErr_NoMemory();
            return FAILED;
        }
        done = emit_held(walker, lane, origin, packet);
        lane->bytes.length = held;
    }
    if (done == LEFT) {
        return release_lane(walker, lane) ? LEFT : FAILED;
    }
    if (done == TAKEN && completes) {
        drop_held(walker, lane);
    }
    payload->at = taken.end;
    return done;
}
