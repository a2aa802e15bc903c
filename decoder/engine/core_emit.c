/* Messages that are whole in one segment: verified, made, numbered.  hot_path.emit_whole_messages is the same in Python. */
#include "core_walk.h"

void
origin_clear(struct origin *origin)
{
    Py_XDECREF(origin->verifier);
    Py_XDECREF(origin->decrypt);
    Py_XDECREF(origin->encryption);
    Py_XDECREF(origin->conn_id);
    Py_XDECREF(origin->twins);
    Py_XDECREF(origin->items);
    Py_XDECREF(origin->side);
    Py_XDECREF(origin->frames);
}

/* Returns the numbers of the packets that brought a message: this one alone. */
static PyObject *
alone(const struct packet *packet)
{
    PyObject *frames = PyTuple_New(1);
    PyObject *number = frames == NULL ? NULL : PyLong_FromLongLong(packet->number);
    if (number == NULL || PyTuple_SetItem(frames, 0, number) < 0) {
        Py_XDECREF(frames);
        return NULL;
    }
    return frames;
}

bool
origin_read(const struct walker *walker, const struct lane *lane, PyObject *connection, const struct packet *packet,
            struct origin *origin)
{
    memset(origin, 0, sizeof *origin);
    origin->connection = connection;
    origin->time = packet->time;
    bool read = (origin->verifier = get(walker, lane->shared, N_VERIFIER)) != NULL
                && (origin->decrypt = get(walker, origin->verifier, N_DECRYPT)) != NULL
                && (origin->encryption = get(walker, origin->verifier, N_ENCRYPTION)) != NULL
                && (origin->conn_id = get(walker, origin->verifier, N_CONN_ID)) != NULL
                && (origin->side = get(walker, lane->flow, N_DIRECTION)) != NULL
                && (origin->twins = get(walker, connection, N_TWINS)) != NULL
                && (origin->items = get(walker, lane->results, N_ITEMS)) != NULL
                && (origin->frames = alone(packet)) != NULL;
    int from_gateway = read ? PyObject_RichCompareBool(origin->side, walker->words[W_S2C], Py_EQ) : -1;
    origin->from_gateway = from_gateway > 0;
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
may_be_ciphertext(const struct walker *walker, const struct origin *origin, const uint8_t *header, PyObject *plain,
                  bool *may)
{
    PyObject *unpacked = unpack_header(header);
    PyObject *answer = unpacked == NULL ? NULL
                                        : PyObject_CallMethodObjArgs(origin->verifier,
                                                                     walker->names[N_MAY_BE_CIPHERTEXT], origin->side,
                                                                     unpacked, plain, NULL);
    Py_XDECREF(unpacked);
    int truth = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    *may = truth > 0;
    return truth >= 0;
}

PyObject *
proven(const struct walker *walker, struct lane *lane, const struct origin *origin, const uint8_t *header)
{
    const uint8_t *body = header + HEADER_LEN;
    uint32_t size = read_u32(header + BODY_LEN_AT);
    bool in_clear = origin->decrypt == Py_None;
    PyObject *plain = in_clear ? PyBytes_FromStringAndSize((const char *)body, (Py_ssize_t)size)
                               : open_body(walker, lane, origin->decrypt, body, size);
    if (plain == NULL || plain == Py_None) {
        Py_XDECREF(plain);
        return NULL;
    }
    bool fits, may = false;
    bool done = compare_digest(walker, plain, header, &fits);
    if (done && fits && in_clear && size % 16 == 0) {
        done = may_be_ciphertext(walker, origin, header, plain, &may);
    }
    if (done && fits && !may && in_clear) {
        done = set_object(walker, origin->verifier, N_CLEAR_SEEN, Py_True);
    }
    if (!done || !fits || may) {
        Py_DECREF(plain);
        return NULL;
    }
    return plain;
}

/* Returns the message of a frame whose plaintext is given; NULL with an exception. */
static struct message *
new_message(const struct walker *walker, const struct lane *lane, const struct origin *origin, const uint8_t *header,
            PyObject *plain, enum word kind)
{
    struct message *message = message_new((PyTypeObject *)walker->message_class, header);
    if (message != NULL) {
        message_put(message, FLOW, Py_NewRef(lane->flow));
        message_put(message, TIME_NS, Py_NewRef(origin->time));
        message_put(message, FRAMES, Py_NewRef(origin->frames));
        message_put(message, KIND, Py_NewRef(walker->words[kind]));
        message_put(message, PLAINTEXT, Py_NewRef(plain));
        message_put(message, ENCRYPTION, Py_NewRef(origin->encryption));
        message_put(message, VERDICT, Py_NewRef(walker->words[W_VERIFIED]));
        message_put(message, CONN_ID, Py_NewRef(origin->conn_id));
    }
    return message;
}

/* Numbers a push and adds it to the results; returns false with an exception. */
static bool
emit_push(const struct walker *walker, const struct lane *lane, const struct origin *origin, struct message *message)
{
    int64_t number, ordinal;
    return get_integer(walker, lane->results, N_MESSAGES, &number)
           && get_integer(walker, lane->pairing, N_EMITTED, &ordinal)
           && message_put(message, NUMBER, PyLong_FromLongLong(number + 1))
           && message_put(message, ORDINAL, PyLong_FromLongLong(ordinal + 1))
           && set_object(walker, lane->results, N_MESSAGES, message->values[NUMBER])
           && set_object(walker, lane->pairing, N_EMITTED, message->values[ORDINAL])
           && PyList_Append(origin->items, (PyObject *)message) == 0;
}

/* Hands a message to the stage that pairs and numbers it; returns false with an exception. */
static bool
hand_on(struct walker *walker, const struct lane *lane, const struct origin *origin, struct message *message)
{
    PyObject *done = NULL, *halves = get(walker, origin->connection, N_HALVES);
    PyObject *client = halves == NULL ? NULL : PyTuple_GetItem(halves, 0);
    /* A response without request looks if that is on its way. */
    if (client != NULL && (!origin->from_gateway || release_half(walker, client))) {
        done = origin->twins != Py_None
                   ? PyObject_CallMethodObjArgs(origin->connection, walker->names[N_EMIT], message, NULL)
                   : PyObject_CallMethodObjArgs(lane->pairing, walker->names[N_EMIT], message, client, NULL);
    }
    Py_XDECREF(halves);
    Py_XDECREF(done);
    return done != NULL;
}

/* Counts a message of the direction; returns false with an exception. */
static bool
count(const struct lane *lane, const struct origin *origin)
{
    PyObject *before = PyObject_GetItem(lane->counts, origin->side);
    int64_t number = before == NULL ? -1 : PyLong_AsLongLong(before);
    Py_XDECREF(before);
    PyObject *sum = number < 0 ? NULL : PyLong_FromLongLong(number + 1);
    bool done = sum != NULL && PyObject_SetItem(lane->counts, origin->side, sum) == 0;
    Py_XDECREF(sum);
    return done;
}

bool
emit_message(struct walker *walker, const struct lane *lane, const struct origin *origin, const uint8_t *header,
     PyObject *plain)
{
    uint32_t proto_id = read_u32(header + PROTO_ID_AT);
    bool is_push = proto_id < IDS && walker->pushes[proto_id / 8] >> proto_id % 8 & 1;
    enum word kind = !origin->from_gateway ? W_REQUEST : is_push ? W_PUSH : W_RESPONSE;
    struct message *message = new_message(walker, lane, origin, header, plain, kind);
    if (message == NULL) {
        return false;
    }
    bool twins = origin->twins != Py_None;
    bool done = kind == W_PUSH && !twins ? emit_push(walker, lane, origin, message)
                                         : hand_on(walker, lane, origin, message);
    Py_DECREF(message);
    return done && (twins || count(lane, origin));
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
emit_whole(struct walker *walker, struct lane *lane, const struct origin *origin, struct span *payload)
{
    const uint8_t *header;
    while ((header = whole_frame(walker, *payload)) != NULL && PyObject_Size(lane->conflicts) == 0) {
        PyObject *plain = proven(walker, lane, origin, header);
        if (plain == NULL || !emit_message(walker, lane, origin, header, plain)) {
            Py_XDECREF(plain);
            break;
        }
        Py_DECREF(plain);
        payload->at += HEADER_LEN + (size_t)read_u32(header + BODY_LEN_AT);
    }
    return !PyErr_Occurred();
}
