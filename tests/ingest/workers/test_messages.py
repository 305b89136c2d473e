"""Messages between processes: whole, or told as not whole."""

import socket
import threading

import numpy as np
import pytest

from pipeline.ingest.workers import messages

CROPS = np.arange(48 * 256 * 256, dtype=np.uint32).astype(np.uint8).reshape(48, 256, 256)


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_value_arrives_as_it_was_sent_however_large_its_arrays(ends):
    sent = {"crops": CROPS, "empty": np.empty((0, 4, 4), np.uint8), "words": ("", None, b"x")}
    # More than a socket holds: it must be taken while it is being sent.
    sending = threading.Thread(target=messages.send, args=(ends[0], messages.pack(sent)))
    sending.start()
    arrived = messages.unpack(messages.receive(ends[1]))
    sending.join()
    np.testing.assert_array_equal(arrived["crops"], CROPS)
    assert arrived["empty"].shape == (0, 4, 4)
    assert arrived["words"] == ("", None, b"x")


def test_arrays_are_packed_without_copying_them():
    head, crops = messages.pack({"crops": CROPS})
    assert len(head) < 1000
    assert np.shares_memory(np.frombuffer(crops, np.uint8), CROPS)


@pytest.mark.parametrize("share", [0, 3, 40, 5000])
def test_a_sender_that_ends_in_the_middle_is_noticed(ends, share):
    begun = b"".join(sent_bytes(CROPS[0, :24]))[:share]
    ends[0].sendall(begun)
    ends[0].close()
    with pytest.raises(EOFError):
        messages.receive(ends[1])


def test_a_sender_that_stops_in_the_middle_is_waited_for_as_long_as_was_set(ends):
    ends[0].sendall(b"".join(sent_bytes(CROPS[0, :24]))[:5000])
    ends[1].settimeout(0.05)
    with pytest.raises(TimeoutError):
        messages.receive(ends[1])


def sent_bytes(value):
    """What goes over the wire for a value that a socket holds as a whole."""
    one, other = socket.socketpair()
    with one, other:
        messages.send(one, messages.pack(value))
        one.close()
        while data := other.recv(1 << 20):
            yield data
