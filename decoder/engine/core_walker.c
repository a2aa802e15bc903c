/* The class Walker: what it is made of, and its use by one caller at a time. */
#include "core_walk.h"

static const char *const NAMES[NAME_COUNT] = {
    "entries", "latest_ns", "segments",
    "needs_slow_path", "last_ns", "twins", "pairing", "info", "halves", "emit", "results",
    "stream", "framer", "flow", "shared", "conflicts", "ack", "counted", "acknowledge",
    "next_seq", "position",
    "at_boundary",
    "verifier", "decrypt", "encryption", "conn_id", "clear_seen", "may_be_ciphertext",
    "direction_known", "now", "limits", "max_body",
    "emitted", "messages", "items", "direction",
    "digest",
};

static const char *const WORDS[WORD_COUNT] = {"request", "response", "push", "verified", "s2c"};

/* Takes the walker for one use; returns false with an exception. */
static bool
begin(struct walker *walker)
{
    if (walker->busy || walker->entries == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the walker is in use");
        return false;
    }
    walker->busy = true;
    return true;
}

static PyObject *
walker_walk(PyObject *self, PyObject *arguments)
{
    struct walker *walker = (struct walker *)self;
    PyObject *batch;
    Py_ssize_t at, may_hold;
    long long number;
    if (!PyArg_ParseTuple(arguments, "O!nLn:walk", &PyList_Type, &batch, &at, &number, &may_hold)) {
        return NULL;
    }
    if (at < 0) {
        PyErr_SetString(PyExc_ValueError, "no packet to begin with");
        return NULL;
    }
    if (!begin(walker)) {
        return NULL;
    }
    walker->may_hold = may_hold < 0 ? 0 : (size_t)may_hold;
    /* (A plan is for one batch: one that is left over, an exception has cut short.) */
    bool full = walker->planned ? at == 0 : walker->lane_count == MAX_LANES;
    bool done = (!full && walker->held <= walker->may_hold) || release_held(walker);
    if (done && full) {
        forget_lanes(walker);
    }
    done = done && take_batch(walker, batch, &at, number);
    if (!done) {
        forget_lanes(walker); /* what was under way is lost */
    }
    walker->busy = false;
    return done ? PyLong_FromSsize_t(at) : NULL;
}

static PyObject *
walker_release(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    struct walker *walker = (struct walker *)self;
    if (!begin(walker)) {
        return NULL;
    }
    bool done = release_held(walker);
    walker->busy = false;
    return done ? Py_NewRef(Py_None) : NULL;
}

/* Keeps which protocol ids are those of pushes; returns false with an exception. */
static bool
keep_pushes(struct walker *walker, PyObject *ids)
{
    PyObject *iterator = PyObject_GetIter(ids), *id;
    while (iterator != NULL && (id = PyIter_Next(iterator)) != NULL) {
        long number = PyLong_AsLong(id);
        Py_DECREF(id);
        if (number < 0 || number >= IDS) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "no protocol id");
            }
            break;
        }
        walker->pushes[number / 8] |= (uint8_t)(1 << number % 8);
    }
    Py_XDECREF(iterator);
    return !PyErr_Occurred();
}

static bool
intern(PyObject **objects, const char *const *texts, int count)
{
    for (int i = 0; i < count; i++) {
        objects[i] = PyUnicode_InternFromString(texts[i]);
        if (objects[i] == NULL) {
            return false;
        }
    }
    return true;
}

static PyObject *
walker_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"table", "message_class", "arrival", "sha1", "feed_rest", "pass_over", "may_overtake",
                            "recipe", "pushes", "handshake", NULL};
    PyObject *table, *message_class, *arrival, *sha1, *feed_rest, *pass_over, *may_overtake, *recipe, *pushes;
    unsigned handshake;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOOOOOOOI:Walker", names, &table, &message_class, &arrival,
                                     &sha1, &feed_rest, &pass_over, &may_overtake, &recipe, &pushes, &handshake)) {
        return NULL;
    }
    if (!is_message_class(message_class)) {
        PyErr_SetString(PyExc_TypeError, "the class of messages must be a subclass of MessageFields");
        return NULL;
    }
    struct walker *walker = (struct walker *)PyType_GenericAlloc(type, 0);
    if (walker == NULL) {
        return NULL;
    }
    walker->table = Py_NewRef(table);
    walker->message_class = Py_NewRef(message_class);
    walker->sha1 = Py_NewRef(sha1);
    walker->feed_rest = Py_NewRef(feed_rest);
    walker->pass_over = Py_NewRef(pass_over);
    walker->may_overtake = Py_NewRef(may_overtake);
    walker->recipe = Py_NewRef(recipe);
    walker->arrival = Py_NewRef(arrival);
    walker->handshake = handshake;
    bool made = intern(walker->names, NAMES, NAME_COUNT) && intern(walker->words, WORDS, WORD_COUNT)
                && keep_pushes(walker, pushes) && (walker->entries = get(walker, table, N_ENTRIES)) != NULL;
    if (made && !PyDict_Check(walker->entries)) {
        PyErr_SetString(PyExc_TypeError, "the table has no dict of entries");
        made = false;
    }
    if (!made) {
        Py_DECREF(walker);
        return NULL;
    }
    return (PyObject *)walker;
}

static int
walker_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct walker *walker = (struct walker *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(walker->table);
    Py_VISIT(walker->entries);
    Py_VISIT(walker->message_class);
    Py_VISIT(walker->sha1);
    Py_VISIT(walker->feed_rest);
    Py_VISIT(walker->pass_over);
    Py_VISIT(walker->may_overtake);
    Py_VISIT(walker->recipe);
    Py_VISIT(walker->arrival);
    return lanes_traverse(walker, visit, arg);
}

static int
walker_clear(PyObject *self)
{
    struct walker *walker = (struct walker *)self;
    Py_CLEAR(walker->table);
    Py_CLEAR(walker->entries);
    Py_CLEAR(walker->message_class);
    Py_CLEAR(walker->sha1);
    Py_CLEAR(walker->feed_rest);
    Py_CLEAR(walker->pass_over);
    Py_CLEAR(walker->may_overtake);
    Py_CLEAR(walker->recipe);
    Py_CLEAR(walker->arrival);
    forget_lanes(walker);
    for (int i = 0; i < NAME_COUNT; i++) {
        Py_CLEAR(walker->names[i]);
    }
    for (int i = 0; i < WORD_COUNT; i++) {
        Py_CLEAR(walker->words[i]);
    }
    return 0;
}

static void
walker_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    walker_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef walker_methods[] = {
    {"walk", walker_walk, METH_VARARGS, "Takes packets of a batch; returns the place of the first one that it leaves."},
    {"release", walker_release, METH_NOARGS, "Gives the beginnings of messages that are held to the stages."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot walker_slots[] = {
    {Py_tp_doc, "Reads packets and emits their messages; see _core.pyi."},
    {Py_tp_new, walker_new},
    {Py_tp_methods, walker_methods},
    {Py_tp_traverse, walker_traverse},
    {Py_tp_clear, walker_clear},
    {Py_tp_dealloc, walker_dealloc},
    {0, NULL},
};

PyType_Spec walker_spec = {
    "decoder._core.Walker", sizeof(struct walker), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, walker_slots,
};
