/* The walk over packets: reads headers of link, IP and TCP, advances quiet streams, emits messages.

It does what the loops of decoder/engine/hot_path.py do, and leaves the first packet that is anything else.  The state
is in the objects of the stages, which it reads and writes with each packet.  There is one exception: the beginning of a
message whose end is still to come is held here (core_parts.c), and given to the framer before any stage looks at it. */
#ifndef OPENDUMP_CORE_WALK_H
#define OPENDUMP_CORE_WALK_H

#include "core_message.h"

/* Names of attributes and methods of the stages, in the order of NAMES in core_walker.c. */
enum name {
    /* ConnectionTable */ N_ENTRIES, N_LATEST_NS, N_SEGMENTS,
    /* Connection */ N_NEEDS_SLOW_PATH, N_LAST_NS, N_TWINS, N_PAIRING, N_INFO, N_HALVES, N_EMIT, N_RESULTS,
    /* HalfConnection */ N_STREAM, N_FRAMER, N_FLOW, N_SHARED, N_CONFLICTS, N_ACK, N_COUNTED,
    N_ACKNOWLEDGE,
    /* StreamReassembler */ N_NEXT_SEQ, N_POSITION,
    /* Framer */ N_AT_BOUNDARY,
    /* BodyVerifier */ N_VERIFIER, N_DECRYPT, N_ENCRYPTION, N_CONN_ID, N_CLEAR_SEEN, N_MAY_BE_CIPHERTEXT,
    /* SharedState, Limits */ N_DIRECTION_KNOWN, N_NOW, N_LIMITS, N_MAX_BODY,
    /* Pairing, Results, ConnectionInfo, Flow */ N_EMITTED, N_MESSAGES, N_ITEMS, N_DIRECTION,
    /* hashlib */ N_DIGEST,
    NAME_COUNT
};

/* Words that messages hold, in the order of WORDS in core_walker.c. */
enum word { W_REQUEST, W_RESPONSE, W_PUSH, W_VERIFIED, W_S2C, WORD_COUNT };

#define IDS 65536 /* protocol ids that may be those of pushes; a header can have more, none of which is one */
#define MAX_LANES 4096 /* directions that are known at once: a few MB of objects that would be free otherwise */
#define LANE_SLOTS (2 * MAX_LANES)
#define MAX_PIECES 1024 /* packets of one message that is held; the framer takes what has more */
#define MAX_AHEAD 8 /* segments that overtook another one */
#define KEY_LEN 12 /* bytes */
#define PIECE_COST 512 /* bytes that a packet counts beside those that it brought */

/* A packet that brought bytes of a message. */
struct piece {
    int64_t number;
    PyObject *time;
    size_t end; /* of its bytes among those that are held */
};

/* A packet of the batch whose segment overtook another one. */
struct ahead {
    PyObject *item;
    int64_t number;
};

#define MAX_OPENED 64 /* bodies that are decrypted together */
#define AES_BLOCK 16 /* bytes */

enum mode { UNKNOWN, FTAES_ECB, AES_CBC, AES_ECB };

/* A body whose blocks are decrypted. */
struct opened_body {
    const uint8_t *at;  /* where it stands; compared only */
    size_t start;       /* of its blocks among those that are decrypted */
};

/* Bodies of the packets to come whose blocks were decrypted in one call.  Whether they are messages, the walk decides
   when it is there. */
struct opened {
    PyObject *decrypt;  /* the function that this stands for, and what it does: mode, cipher, IV */
    enum mode mode;
    PyObject *cipher;
    uint8_t iv[AES_BLOCK];
    PyObject *blocks;   /* decrypted, as bytes; or NULL */
    struct opened_body bodies[MAX_OPENED];
    size_t count, next;
};

/* One direction of a connection: objects that stay the same as long as it lives, and the message that is held. */
struct lane {
    PyObject *half, *stream, *flow, *shared, *conflicts, *pairing, *results, *counts;
    int64_t max_body;
    PyObject *connection; /* while a message is held, else NULL: so that nothing lives longer because of the lane */
    int64_t offset;       /* of the message that is held, in the stream */
    struct buffer bytes;
    struct piece *pieces;
    size_t count, room;   /* of pieces: how many there are, and how many fit */
    struct lane *before, *after; /* the lanes that hold something */
    bool planned;         /* some segments are ahead, and the batch has the one that they overtook */
    struct ahead ahead[MAX_AHEAD];
    size_t ahead_count, ahead_seen;
    int64_t fill_number;  /* of the packet that they overtook */
    struct opened *opened; /* NULL until a body is encrypted */
};

struct walker {
    PyObject_HEAD
    PyObject *table;         /* ConnectionTable */
    PyObject *entries;       /* its dict of keys to (connection, direction) */
    PyObject *message_class;
    PyObject *sha1;          /* hashlib's: faster than C without instructions for it */
    PyObject *feed_rest;     /* hot_path.feed_rest: takes what is no whole message */
    PyObject *pass_over;     /* hot_path.pass_over: takes note of a message that was held */
    PyObject *may_overtake;  /* hot_path.may_overtake: tells if the stages would make nothing else of it */
    PyObject *recipe;        /* ciphers.recipe: tells how a decryption function works */
    PyObject *arrival;       /* the class Arrival */
    PyObject *names[NAME_COUNT];
    PyObject *words[WORD_COUNT];
    uint32_t handshake;      /* protocol id of InitConnect, which the stages handle */
    uint8_t pushes[IDS / 8];
    struct lane **lanes;     /* LANE_SLOTS of them, found by `half`; NULL until the first one */
    size_t lane_count;
    size_t planned;          /* lanes with a plan */
    PyObject *batch;         /* the batch that is walked over, and the place of the packet in it; borrowed */
    Py_ssize_t at;
    const struct packet *packet; /* that packet */
    struct lane *holding;    /* the first lane that holds something */
    size_t held;             /* memory of all messages that are held */
    size_t may_hold;         /* as much of it as is allowed */
    bool busy;               /* it is being used */
};

/* One packet with a TCP segment. */
struct packet {
    PyObject *item;    /* the tuple of the batch that it was read from */
    PyObject *time;    /* nanoseconds since 1970 */
    int64_t time_ns;
    int64_t number;
    const uint8_t *key; /* 12 bytes */
    uint32_t seq, ack;
    unsigned flags;
    struct span payload;
};

enum taken { FAILED = -1, LEFT, TAKEN };

/* What the messages of one segment have in common; new references, except for the connection. */
struct origin {
    PyObject *connection;
    PyObject *verifier, *decrypt, *encryption, *conn_id, *twins, *items, *side;
    PyObject *frames, *time;
    bool from_gateway;
};

/* Reads what the messages of a segment have in common.  Either way the origin is to be cleared; false: an exception. */
bool origin_read(const struct walker *walker, const struct lane *lane, PyObject *connection, const struct packet *packet,
                 struct origin *origin);
void origin_clear(struct origin *origin);

/* Returns the plaintext of the body behind a header if it is proven; NULL if it is not, or with an exception. */
PyObject *proven(const struct walker *walker, struct lane *lane, const struct origin *origin, const uint8_t *header);

/* Returns what `decrypt` makes of a body: its plaintext or None; NULL with an exception.  Decrypts bodies of the packets
   to come in the same call, if the body is in the packet that is looked at. */
PyObject *open_body(const struct walker *walker, struct lane *lane, PyObject *decrypt, const uint8_t *body,
                      uint32_t size);

/* Frees what is known of bodies that were decrypted. */
void opened_free(struct opened *opened);

/* Emits a message whose plaintext is proven, and counts it; returns false with an exception. */
bool emit_message(struct walker *walker, const struct lane *lane, const struct origin *origin, const uint8_t *header,
          PyObject *plain);

/* Emits the whole messages at the start of a payload, moves its `at` behind them; returns false with an exception.
   The framer must be at a boundary, and nothing held back. */
bool emit_whole(struct walker *walker, struct lane *lane, const struct origin *origin, struct span *payload);

/* Returns the lane of a direction; NULL if there are too many, or with an exception. */
struct lane *lane_of(struct walker *walker, PyObject *connection, PyObject *half);

/* Holds the beginning of a message that a packet brought, which stands at `offset` in the stream.  LEFT: it is for the
   framer. */
enum taken hold_beginning(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet,
                struct span payload, int64_t offset);

/* Adds the next bytes of the stream to the message that is held, emits it if that is all of it, and moves `at` of the
   payload behind it.  LEFT: the message was given to the framer, the payload is for it too. */
enum taken add_to_held(struct walker *walker, struct lane *lane, const struct origin *origin,
                       const struct packet *packet, struct span *payload);

/* Gives what is held of a direction, or of all, to the framers; returns false with an exception. */
bool release_half(struct walker *walker, PyObject *half);
bool release_held(struct walker *walker);

/* Forgets all lanes; nothing may be held any more, or it is lost. */
void forget_lanes(struct walker *walker);

/* Visits what the lanes refer to, for the garbage collector. */
int lanes_traverse(const struct walker *walker, visitproc visit, void *arg);

/* Hands bytes to the framer of a direction; they stand at `offset` of the stream.  Returns false with an exception. */
bool feed_rest(const struct walker *walker, PyObject *connection, PyObject *half, struct span bytes, int64_t number,
               PyObject *time, int64_t offset);

/* Reads a packet as `CaptureReader` gives it; returns false if it is not the usual one. */
bool read_packet(PyObject *item, struct packet *packet);

/* Returns true if its flags tell nothing but an acknowledgement. */
bool is_plain(const struct packet *packet);

/* Takes note of the acknowledgement in a segment. */
enum taken take_ack(const struct walker *walker, PyObject *half, const struct packet *packet);

/* Takes note of the time of a packet, if it is the latest one; returns false with an exception. */
bool note_time(const struct walker *walker, PyObject *connection, const struct packet *packet);

/* Sets the packet that the stages saw last; returns false with an exception. */
bool set_now(const struct walker *walker, const struct lane *lane, const struct packet *packet);

/* Takes the payload of a segment that is the next of its stream, which stood at `position`. */
bool take_in_order(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet,
             int64_t position);

/* Returns the bytes of the message that begins like this: 0 if its header is not complete, -1 if it is for the framer. */
int64_t message_size(const struct walker *walker, const struct lane *lane, struct span head);

/* Returns true if so much more may be held of a direction; false also with an exception. */
bool may_hold(const struct walker *walker, const struct lane *lane, size_t more);

/* Returns true if a packet begins as a header does: then the framer looks for headers in the message before it. */
static inline bool
begins_with_magic(struct span payload)
{
    return span_size(payload) > 1 && payload.at[0] == 'F' && payload.at[1] == 'T';
}

/* A payload among bytes that are looked at together. */
struct part {
    size_t start;
    struct span payload;
};

/* Returns true if all messages that end in these bytes are proven, and the framer would find nothing in what is left;
   false also with an exception. */
bool is_proven(const struct walker *walker, struct lane *lane, const struct origin *origin, struct span bytes,
               const struct part *parts, size_t count);

/* Takes a segment that is ahead of its stream if the batch shows that nothing depends on it, else leaves it. */
enum taken plan_ahead(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet,
                      uint32_t next_seq);

/* Takes the next segment of a plan, or the one that was overtaken and then all of them. */
enum taken follow_plan(struct walker *walker, struct lane *lane, PyObject *connection, const struct packet *packet,
                       int64_t position);

void forget_ahead(struct walker *walker, struct lane *lane);

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

/* Takes the packets of a batch from place `at` on, before which `number` packets came, up to one that is left; moves `at`
   there.  Returns false with an exception. */
bool take_batch(struct walker *walker, PyObject *batch, Py_ssize_t *at, int64_t number);

extern PyType_Spec walker_spec;

/* Reads the records of a pcap file; core_records.c. */
PyObject *pcap_records(PyObject *module, PyObject *arguments);

#endif
