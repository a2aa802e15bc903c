"""Throw damaged input at the decoder: ``make fuzz``, or ``python -m tests.fuzz [TARGET]...`` (``--help`` tells more).

======== ================================================== ====================================================
target   an input is                                        what must hold, beside: no exception, an end, < 1 GiB
======== ================================================== ====================================================
readers  a capture file                                     only CaptureError; the same packets in whatever
                                                            pieces it comes; comments change no packet
packets  a few packets, each with its link type             the same segment behind a VLAN tag, cooked, raw, alone
bodies   a plaintext, and what it is said to be             what is shown can be read again; no secret slips out
frames   one direction's stream, and where to cut it        however it is cut: whole messages at its start come
                                                            out, and nothing that is not in it
streams  how the segments of a conversation are captured    memory below its limit, 0 at the end; nothing that was
                                                            not sent, nothing twice; a verified body has its SHA-1
websockets  what one direction sends in WebSocket frames    however it is cut: the same messages come out
cores    a plaintext, and what it is said to be             the compiled core writes what Python writes
captures what happens to the packets of conversations       the compiled packet loop gives what Python gives
======== ================================================== ====================================================

A target is a module here: `check(data)` takes bytes and raises if something is wrong, `seeds()` makes inputs to begin
with out of the recordings under captures/.  atheris (libFuzzer) looks for inputs that reach new code; where it is not
installed, seeds are damaged at random.  Whatever is printed of bodies and streams must be printable.

An input that finds something is kept, and the command says how to repeat it.  Once it is understood, a small one goes
to `found/` under a name that begins with its target and says what it was: tests/test_fuzz.py runs all of these, and a
short run of each target.  RUNS.md tells of the long ones.
"""

TARGETS = ("readers", "packets", "bodies", "frames", "streams", "websockets", "cores", "captures")
