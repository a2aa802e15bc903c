/* Messages that are whole in one segment: verified, made, numbered.  hot_path.emit_whole_messages is the same in Python. */
#include "core_walk.h"

/* What messages of one direction have in common while a segment is looked at; all are new references. */
struct direction {
    PyObject *connection, *half;
    PyObject *flow, *verifier, *decrypt, *encryption, *conn_id, *twins, *pairing, *results, *items, *conflicts, *side;
    bool from_gateway;
};

static void
direction_clear(struct direction *direction)
{
    Py_XDECREF(direction->flow);
    Py_XDECREF(direction->verifier);
    Py_XDECREF(direction->decrypt);
    Py_XDECREF(direction->encryption);
    Py_XDECREF(direction->conn_id);
    Py_XDECREF(direction->twins);
    Py_XDECREF(direction->pairing);
    Py_XDECREF(direction->results);
    Py_XDECREF(direction->items);
    Py_XDECREF(direction->conflicts);
    Py_XDECREF(direction->side);
}

/* Reads them; returns false with an exception. */
static bool
direction_read(const struct walker *walker, struct direction *direction)
{
    PyObject *connection = direction->connection, *half = direction->half;
    PyObject *shared = get(walker, half, N_SHARED);
    direction->verifier = shared == NULL ? NULL : get(walker, shared, N_VERIFIER);
    Py_XDECREF(shared);
    bool read = direction->verifier != NULL && (direction->flow = get(walker, half, N_FLOW)) != NULL
                && (direction->side = get(walker, direction->flow, N_DIRECTION)) != NULL
                && (direction->conflicts = get(walker, half, N_CONFLICTS)) != NULL
                && (direction->decrypt = get(walker, direction->verifier, N_DECRYPT)) != NULL
                && (direction->encryption = get(walker, direction->verifier, N_ENCRYPTION)) != NULL
                && (direction->conn_id = get(walker, direction->verifier, N_CONN_ID)) != NULL
                && (direction->twins = get(walker, connection, N_TWINS)) != NULL
                && (direction->pairing = get(walker, connection, N_PAIRING)) != NULL
                && (direction->results = get(walker, connection, N_RESULTS)) != NULL
                && (direction->items = get(walker, direction->results, N_ITEMS)) != NULL;
    int from_gateway = read ? PyObject_RichCompareBool(direction->side, walker->words[W_S2C], Py_EQ) : -1;
    direction->from_gateway = from_gateway > 0;
    return from_gateway >= 0;
}

/* Sets `fits` if the SHA-1 of the plaintext is the one in the header; returns false with an exception. */
static bool
compare_digest(const struct walker *walker, PyObject *plain, const uint8_t *header, bool *fits)
{
    PyObject *hash = PyObject_CallFunctionObjArgs(walker->sha1, plain, NULL);
    PyObject *digest = hash == NULL ? NULL : PyObject_CallMethodObjArgs(hash, walker->names[N_DIGEST], NULL);
    Py_XDECREF(hash);
    char *bytes;
    Py_ssize_t size;
    bool done = digest != NULL && PyBytes_AsStringAndSize(digest, &bytes, &size) == 0;
    *fits = done && size == DIGEST_LEN && memcmp(bytes, header + DIGEST_AT, DIGEST_LEN) == 0;
    Py_XDECREF(digest);
    return done;
}

/* Sets `may` if a body that is proven as it was sent may be ciphertext all the same; returns false with an exception. */
static bool
may_be_ciphertext(const struct walker *walker, const struct direction *direction, const uint8_t *header, PyObject *plain,
                  bool *may)
{
    PyObject *unpacked = unpack_header(header);
    PyObject *answer = unpacked == NULL ? NULL
                                        : PyObject_CallMethodObjArgs(direction->verifier,
                                                                     walker->names[N_MAY_BE_CIPHERTEXT],
                                                                     direction->side, unpacked, plain, NULL);
    Py_XDECREF(unpacked);
    int truth = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    *may = truth > 0;
    return truth >= 0;
}

/* Returns the plaintext of a body if it is proven; NULL if it is not, or with an exception. */
static PyObject *
proven(const struct walker *walker, const struct direction *direction, const uint8_t *header, size_t size)
{
    PyObject *plain = PyBytes_FromStringAndSize((const char *)header + HEADER_LEN, (Py_ssize_t)size);
    bool in_clear = direction->decrypt == Py_None;
    if (plain != NULL && !in_clear) {
        PyObject *sent = plain;
        plain = PyObject_CallFunctionObjArgs(direction->decrypt, sent, NULL);
        Py_DECREF(sent);
    }
    if (plain == NULL || plain == Py_None) {
        Py_XDECREF(plain);
        return NULL;
    }
    bool fits, may = false;
    bool done = compare_digest(walker, plain, header, &fits);
    if (done && fits && in_clear && size % 16 == 0) {
        done = may_be_ciphertext(walker, direction, header, plain, &may);
    }
    if (done && fits && !may && in_clear) {
        done = set_object(walker, direction->verifier, N_CLEAR_SEEN, Py_True);
    }
    if (!done || !fits || may) {
        Py_DECREF(plain);
        return NULL;
    }
    return plain;
}

/* Returns the message of a frame whose plaintext is given; NULL with an exception. */
static struct message *
new_message(const struct walker *walker, const struct direction *direction, const struct packet *packet,
            const uint8_t *header, PyObject *plain, enum word kind)
{
    struct message *message = message_new((PyTypeObject *)walker->message_class, header);
    if (message == NULL) {
        return NULL;
    }
    message_put(message, FLOW, Py_NewRef(direction->flow));
    message_put(message, TIME_NS, Py_NewRef(packet->time));
    message_put(message, KIND, Py_NewRef(walker->words[kind]));
    message_put(message, PLAINTEXT, Py_NewRef(plain));
    message_put(message, ENCRYPTION, Py_NewRef(direction->encryption));
    message_put(message, VERDICT, Py_NewRef(walker->words[W_VERIFIED]));
    message_put(message, CONN_ID, Py_NewRef(direction->conn_id));
    PyObject *frames = PyTuple_New(1);
    PyObject *number = frames == NULL ? NULL : PyLong_FromLongLong(packet->number);
    if (number == NULL || PyTuple_SetItem(frames, 0, number) < 0) {
        Py_XDECREF(frames);
        frames = NULL;
    }
    if (!message_put(message, FRAMES, frames)) {
        Py_DECREF(message);
        return NULL;
    }
    return message;
}

/* Numbers a push and adds it to the results; returns false with an exception. */
static bool
emit_push(const struct walker *walker, const struct direction *direction, struct message *message)
{
    int64_t number, ordinal;
    return get_integer(walker, direction->results, N_MESSAGES, &number)
           && get_integer(walker, direction->pairing, N_EMITTED, &ordinal)
           && message_put(message, NUMBER, PyLong_FromLongLong(number + 1))
           && message_put(message, ORDINAL, PyLong_FromLongLong(ordinal + 1))
           && set_object(walker, direction->results, N_MESSAGES, message->values[NUMBER])
           && set_object(walker, direction->pairing, N_EMITTED, message->values[ORDINAL])
           && PyList_Append(direction->items, (PyObject *)message) == 0;
}

/* Hands a message to the stage that pairs and numbers it; returns false with an exception. */
static bool
hand_on(const struct walker *walker, const struct direction *direction, struct message *message)
{
    PyObject *done;
    if (direction->twins != Py_None) {
        done = PyObject_CallMethodObjArgs(direction->connection, walker->names[N_EMIT], message, NULL);
    } else {
        PyObject *halves = get(walker, direction->connection, N_HALVES);
        PyObject *client = halves == NULL ? NULL : PyTuple_GetItem(halves, 0);
        done = client == NULL ? NULL
                              : PyObject_CallMethodObjArgs(direction->pairing, walker->names[N_EMIT], message, client,
                                                           NULL);
        Py_XDECREF(halves);
    }
    Py_XDECREF(done);
    return done != NULL;
}

/* Emits a frame whose plaintext is proven; returns false with an exception. */
static bool
emit(const struct walker *walker, const struct direction *direction, const struct packet *packet, const uint8_t *header,
     PyObject *plain)
{
    uint32_t proto_id = read_u32(header + PROTO_ID_AT);
    bool is_push = proto_id < IDS && walker->pushes[proto_id / 8] >> proto_id % 8 & 1;
    enum word kind = !direction->from_gateway ? W_REQUEST : is_push ? W_PUSH : W_RESPONSE;
    struct message *message = new_message(walker, direction, packet, header, plain, kind);
    if (message == NULL) {
        return false;
    }
    bool alone = kind == W_PUSH && direction->twins == Py_None;
    bool done = alone ? emit_push(walker, direction, message) : hand_on(walker, direction, message);
    Py_DECREF(message);
    return done;
}

/* Counts messages of the direction; returns false with an exception. */
static bool
count(const struct walker *walker, const struct direction *direction, long emitted)
{
    PyObject *info = get(walker, direction->connection, N_INFO);
    PyObject *counts = info == NULL ? NULL : get(walker, info, N_MESSAGES);
    PyObject *before = counts == NULL ? NULL : PyObject_GetItem(counts, direction->side);
    PyObject *more = before == NULL ? NULL : PyLong_FromLong(emitted);
    PyObject *sum = more == NULL ? NULL : PyNumber_Add(before, more);
    bool done = sum != NULL && PyObject_SetItem(counts, direction->side, sum) == 0;
    Py_XDECREF(info);
    Py_XDECREF(counts);
    Py_XDECREF(before);
    Py_XDECREF(more);
    Py_XDECREF(sum);
    return done;
}

/* Returns the header of the frame at the start of the payload if it is whole and one for this loop, else NULL. */
static const uint8_t *
whole_frame(const struct walker *walker, struct span payload)
{
    const uint8_t *header = payload.at;
    if (span_size(payload) < HEADER_LEN || header[0] != 'F' || header[1] != 'T') {
        return NULL;
    }
    bool whole = read_u32(header + BODY_LEN_AT) <= span_size(payload) - HEADER_LEN;
    return whole && read_u32(header + PROTO_ID_AT) != walker->handshake ? header : NULL;
}

bool
emit_messages(struct walker *walker, PyObject *connection, PyObject *half, const struct packet *packet,
              struct span *payload)
{
    struct direction direction;
    memset(&direction, 0, sizeof direction);
    direction.connection = connection;
    direction.half = half;
    bool well = whole_frame(walker, *payload) == NULL || direction_read(walker, &direction);
    long emitted = 0;
    const uint8_t *header;
    while (well && (header = whole_frame(walker, *payload)) != NULL && PyObject_Size(direction.conflicts) == 0) {
        uint32_t size = read_u32(header + BODY_LEN_AT);
        PyObject *plain = proven(walker, &direction, header, size);
        if (plain == NULL) {
            break;
        }
        well = emit(walker, &direction, packet, header, plain);
        Py_DECREF(plain);
        payload->at += HEADER_LEN + (size_t)size;
        emitted += direction.twins == Py_None;
    }
    well = !PyErr_Occurred() && (emitted == 0 || count(walker, &direction, emitted));
    direction_clear(&direction);
    return well;
}
