/* The walk over packets: reads headers of link, IP and TCP, advances quiet streams, emits whole messages.

It does what the loops of decoder/engine/hot_path.py do, and stops at the first packet that is anything else.  The state
is in the objects of the stages, which it reads and writes with each packet: there is no second state to keep in step. */
#ifndef OPENDUMP_CORE_WALK_H
#define OPENDUMP_CORE_WALK_H

#include "core_message.h"

/* Names of attributes and methods of the stages, in the order of NAMES in core_walk.c. */
enum name {
    /* ConnectionTable */ N_ENTRIES, N_LATEST_NS, N_SEGMENTS,
    /* Connection */ N_NEEDS_SLOW_PATH, N_LAST_NS, N_TWINS, N_PAIRING, N_INFO, N_HALVES, N_EMIT, N_RESULTS,
    /* HalfConnection */ N_STREAM, N_FRAMER, N_FLOW, N_SHARED, N_CONFLICTS, N_ACK, N_ACKNOWLEDGE,
    /* StreamReassembler */ N_NEXT_SEQ, N_POSITION,
    /* Framer */ N_AT_BOUNDARY,
    /* BodyVerifier */ N_VERIFIER, N_DECRYPT, N_ENCRYPTION, N_CONN_ID, N_CLEAR_SEEN, N_MAY_BE_CIPHERTEXT,
    /* Pairing, Results, ConnectionInfo, Flow */ N_EMITTED, N_MESSAGES, N_ITEMS, N_DIRECTION,
    /* hashlib */ N_DIGEST,
    NAME_COUNT
};

/* Words that messages hold, in the order of WORDS in core_walk.c. */
enum word { W_REQUEST, W_RESPONSE, W_PUSH, W_VERIFIED, W_S2C, WORD_COUNT };

#define IDS 65536 /* protocol ids that may be those of pushes; a header can have more, none of which is one */

struct walker {
    PyObject_HEAD
    PyObject *table;         /* ConnectionTable */
    PyObject *entries;       /* its dict of keys to (connection, direction) */
    PyObject *message_class;
    PyObject *sha1;          /* hashlib's: faster than C without instructions for it */
    PyObject *feed_rest;     /* hot_path.feed_rest: takes what is no whole message */
    PyObject *names[NAME_COUNT];
    PyObject *words[WORD_COUNT];
    uint32_t handshake;      /* protocol id of InitConnect, which the stages handle */
    uint8_t pushes[IDS / 8];
};

/* One packet with a TCP segment. */
struct packet {
    PyObject *data;    /* bytes */
    PyObject *time;    /* nanoseconds since 1970 */
    int64_t time_ns;
    int64_t number;
    const uint8_t *key; /* 12 bytes */
    uint32_t seq, ack;
    unsigned flags;
    struct span payload;
};

enum taken { FAILED = -1, LEFT, TAKEN };

/* Emits the whole messages at the start of a span, which packet brought; moves `at` behind them.  The framer of `half`
   must be at a boundary, and nothing held back.  Returns false with an exception. */
bool emit_messages(struct walker *walker, PyObject *connection, PyObject *half, const struct packet *packet,
                   struct span *payload);

/* Return a new reference to an attribute; NULL with an exception. */
static inline PyObject *
get(const struct walker *walker, PyObject *object, enum name name)
{
    return PyObject_GetAttr(object, walker->names[name]);
}

/* Returns the truth of an attribute, or -1 with an exception. */
int get_truth(const struct walker *walker, PyObject *object, enum name name);

/* Reads an attribute that is an integer of 64 bits; returns false with an exception. */
bool get_integer(const struct walker *walker, PyObject *object, enum name name, int64_t *value);

/* Set an attribute; return false with an exception. */
bool set_integer(const struct walker *walker, PyObject *object, enum name name, int64_t value);
bool set_object(const struct walker *walker, PyObject *object, enum name name, PyObject *value);

extern PyType_Spec walker_spec;

#endif
