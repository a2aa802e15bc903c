/* Bodies that are decrypted together: one call of the cipher for many of them, because the call costs more than they do.

The cipher decrypts blocks one by one (ECB), which pycryptodome does; what a mode is beside that (crypto/ciphers.py: the
chain of CBC, padding) is done here. */
#include "core_walk.h"

#define MAX_LOOK 128 /* packets of the batch that are looked at */

/* Forgets bodies that were decrypted, and how. */
static void
forget_opened(struct opened *opened)
{
    Py_CLEAR(opened->decrypt);
    Py_CLEAR(opened->cipher);
    Py_CLEAR(opened->blocks);
    opened->count = opened->next = 0;
    opened->mode = UNKNOWN;
}

void
opened_free(struct opened *opened)
{
    if (opened != NULL) {
        forget_opened(opened);
        PyMem_Free(opened);
    }
}

/* Learns what a decryption function does; returns false with an exception. */
static bool
learn(const struct walker *walker, struct opened *opened, PyObject *decrypt)
{
    static const char *const names[] = {"", "FTAES_ECB", "AES_CBC", "AES_ECB"};
    forget_opened(opened);
    PyObject *recipe = PyObject_CallFunctionObjArgs(walker->recipe, decrypt, NULL), *name, *cipher, *iv;
    bool done = recipe == Py_None || (recipe != NULL && PyArg_ParseTuple(recipe, "UOS:recipe", &name, &cipher, &iv));
    if (done && recipe != Py_None) {
        for (enum mode mode = FTAES_ECB; mode <= AES_ECB; mode++) {
            if (PyUnicode_CompareWithASCIIString(name, names[mode]) == 0) {
                opened->mode = mode;
            }
        }
        if (opened->mode == AES_CBC && PyBytes_Size(iv) != AES_BLOCK) {
            opened->mode = UNKNOWN;
        } else if (opened->mode == AES_CBC) {
            memcpy(opened->iv, PyBytes_AsString(iv), AES_BLOCK);
        }
        opened->cipher = Py_NewRef(cipher);
    }
    Py_XDECREF(recipe);
    opened->decrypt = done ? Py_NewRef(decrypt) : NULL;
    return done;
}

/* Returns the bytes of a body that are encrypted. */
static size_t
encrypted_size(const struct opened *opened, size_t size)
{
    return opened->mode == FTAES_ECB ? size - AES_BLOCK : size;
}

/* Adds the bodies of the whole frames at the start of a payload. */
static void
add_bodies(struct opened *opened, struct buffer *joined, struct span payload)
{
    while (opened->count < MAX_OPENED && span_size(payload) >= HEADER_LEN && begins_with_magic(payload)) {
        size_t size = read_u32(payload.at + BODY_LEN_AT);
        if (size > span_size(payload) - HEADER_LEN) {
            break;
        }
        const uint8_t *body = payload.at + HEADER_LEN;
        if (size && size % AES_BLOCK == 0) {
            opened->bodies[opened->count++] = (struct opened_body){body, joined->length};
            put_bytes(joined, body, encrypted_size(opened, size));
        }
        payload.at = body + size;
    }
}

/* Decrypts the body that is looked at, and those behind it in the packets of this direction; false: an exception. */
static bool
open_together(const struct walker *walker, struct opened *opened, const uint8_t *body)
{
    const struct packet *first = walker->packet;
    struct buffer joined = {NULL, 0, 0, false};
    opened->count = opened->next = 0;
    Py_CLEAR(opened->blocks);
    add_bodies(opened, &joined, (struct span){body - HEADER_LEN, first->payload.end});
    for (int i = 1; i < MAX_LOOK && walker->at + i < PyList_Size(walker->batch); i++) {
        struct packet packet;
        if (read_packet(PyList_GetItem(walker->batch, walker->at + i), &packet)
            && memcmp(packet.key, first->key, KEY_LEN) == 0) {
            add_bodies(opened, &joined, packet.payload);
        }
    }
    if (joined.failed) {
        PyErr_NoMemory();
    } else {
        opened->blocks = PyObject_CallFunction(opened->cipher, "y#", joined.bytes == NULL ? "" : joined.bytes,
                                               (Py_ssize_t)joined.length);
    }
    if (opened->blocks != NULL
        && (!PyBytes_Check(opened->blocks) || (size_t)PyBytes_Size(opened->blocks) != joined.length)) {
        PyErr_SetString(PyExc_TypeError, "the cipher must return as many bytes as it was given");
        Py_CLEAR(opened->blocks);
    }
    buffer_free(&joined);
    return opened->blocks != NULL;
}

/* Returns the plaintext of a body whose padding PKCS#7 has put there, else None. */
static PyObject *
unpadded(const uint8_t *plain, size_t size)
{
    uint8_t padding = size ? plain[size - 1] : 0;
    bool padded = padding >= 1 && padding <= AES_BLOCK && padding <= size;
    for (size_t i = 1; padded && i <= padding; i++) {
        padded = plain[size - i] == padding;
    }
    return padded ? PyBytes_FromStringAndSize((const char *)plain, (Py_ssize_t)(size - padding)) : Py_NewRef(Py_None);
}

/* Returns the plaintext of an FTAES_ECB body, whose last block tells its length, else None. */
static PyObject *
without_length(const uint8_t *body, size_t size, const uint8_t *plain)
{
    uint8_t used = body[size - 1];
    size_t kept = size - AES_BLOCK;
    bool fits = used < AES_BLOCK && (used == 0 || kept > 0);
    for (size_t i = size - AES_BLOCK; fits && i < size - 1; i++) {
        fits = body[i] == 0;
    }
    size_t padding = fits && used ? (size_t)(AES_BLOCK - used) : 0;
    for (size_t i = 1; fits && i <= padding; i++) {
        fits = plain[kept - i] == 0;
    }
    return fits ? PyBytes_FromStringAndSize((const char *)plain, (Py_ssize_t)(kept - padding)) : Py_NewRef(Py_None);
}

/* Returns the plaintext of a CBC body, else None. */
static PyObject *
unchained(const struct opened *opened, const uint8_t *body, size_t size, const uint8_t *blocks)
{
    uint8_t *plain = PyMem_Malloc(size);
    if (plain == NULL) {
        return PyErr_NoMemory();
    }
    const uint8_t *before = opened->iv;
    for (size_t at = 0; at + AES_BLOCK <= size; at += AES_BLOCK) {
        uint64_t block[2], chained[2];
        memcpy(block, blocks + at, AES_BLOCK);
        memcpy(chained, before, AES_BLOCK);
        block[0] ^= chained[0];
        block[1] ^= chained[1];
        memcpy(plain + at, block, AES_BLOCK);
        before = body + at;
    }
    PyObject *bytes = unpadded(plain, size);
    PyMem_Free(plain);
    return bytes;
}

/* Returns the plaintext of a body that was decrypted before, or None; NULL, without an exception, if it was not. */
static PyObject *
take_opened(struct opened *opened, const uint8_t *body, size_t size)
{
    while (opened->blocks != NULL && opened->next < opened->count) {
        struct opened_body next = opened->bodies[opened->next++];
        if (next.at == body && next.start + encrypted_size(opened, size) <= (size_t)PyBytes_Size(opened->blocks)) {
            const uint8_t *blocks = (const uint8_t *)PyBytes_AsString(opened->blocks) + next.start;
            switch (opened->mode) {
            case FTAES_ECB: return without_length(body, size, blocks);
            case AES_CBC: return unchained(opened, body, size, blocks);
            default: return unpadded(blocks, size);
            }
        }
    }
    return NULL;
}

PyObject *
open_body(const struct walker *walker, struct lane *lane, PyObject *decrypt, const uint8_t *body, uint32_t size)
{
    const struct packet *packet = walker->packet;
    struct opened *opened = lane->opened;
    if (opened == NULL && (opened = lane->opened = PyMem_Calloc(1, sizeof *opened)) == NULL) {
        return PyErr_NoMemory();
    }
    if (opened->decrypt != decrypt && !learn(walker, opened, decrypt)) {
        return NULL;
    }
    bool here = packet != NULL && (uintptr_t)body >= (uintptr_t)packet->payload.at
                && (uintptr_t)body <= (uintptr_t)packet->payload.end;
    if (here && opened->mode != UNKNOWN && size && size % AES_BLOCK == 0) {
        PyObject *plain = take_opened(opened, body, size);
        if (plain != NULL || PyErr_Occurred()) {
            return plain;
        }
        return open_together(walker, opened, body) ? take_opened(opened, body, size) : NULL;
    }
    PyObject *sent = PyBytes_FromStringAndSize((const char *)body, (Py_ssize_t)size);
    PyObject *plain = sent == NULL ? NULL : PyObject_CallFunctionObjArgs(decrypt, sent, NULL);
    Py_XDECREF(sent);
    return plain;
}
