/* Reads the records of a pcap file that are whole in a buffer: capture/pcap.py does the same in Python. */
#include "core_types.h"
#include "core_walk.h"

#define NANOSECONDS 1000000000

static uint32_t
read_field(const uint8_t *at, bool big)
{
    return big ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3] : read_u32(at);
}

/* Returns a packet as `RawPacket`; NULL with an exception. */
static PyObject *
raw_packet(const uint8_t *record, bool big, PyObject *linktype, int64_t scale, struct span data)
{
    int64_t time = (int64_t)read_field(record, big) * NANOSECONDS + (int64_t)read_field(record + 4, big) * scale;
    PyObject *packet = PyTuple_New(4);
    PyObject *items[4] = {
        PyLong_FromLongLong(time), Py_NewRef(linktype),
        PyBytes_FromStringAndSize((const char *)data.at, (Py_ssize_t)span_size(data)),
        PyLong_FromUnsignedLong(read_field(record + 12, big)),
    };
    bool made = packet != NULL;
    for (int i = 0; i < 4; i++) {
        made = made && items[i] != NULL;
        if (packet == NULL) {
            Py_XDECREF(items[i]);
        } else {
            PyTuple_SetItem(packet, i, items[i]); /* which takes the reference, and NULL as well */
        }
    }
    if (!made) {
        Py_CLEAR(packet);
    }
    return packet;
}

PyObject *
pcap_records(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *buffer, *linktype;
    Py_ssize_t start, header;
    int big;
    long long scale;
    if (!PyArg_ParseTuple(arguments, "SnnpOL:pcap_records", &buffer, &start, &header, &big, &linktype, &scale)) {
        return NULL;
    }
    struct span rest = span_of(buffer);
    if (start < 0 || (size_t)start > span_size(rest) || header < 16 || scale < 0 || scale > 1000) {
        PyErr_SetString(PyExc_ValueError, "no place of a record");
        return NULL;
    }
    PyObject *batch = PyList_New(0);
    bool well = batch != NULL;
    const uint8_t *begin = rest.at;
    rest.at += start;
    while (well && span_size(rest) >= (size_t)header) {
        uint32_t captured = read_field(rest.at + 8, big);
        if (captured == 0 || captured > span_size(rest) - (size_t)header) {
            break; /* it may be the header of another file, or is not there as a whole */
        }
        struct span data = {rest.at + header, rest.at + header + captured};
        PyObject *packet = raw_packet(rest.at, big, linktype, scale, data);
        well = packet != NULL && PyList_Append(batch, packet) == 0;
        Py_XDECREF(packet);
        rest.at = data.end;
    }
    PyObject *result = well ? Py_BuildValue("(On)", batch, (Py_ssize_t)(rest.at - begin)) : NULL;
    Py_XDECREF(batch);
    return result;
}
