"""Messages between processes arrive complete or raise an error."""

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


def test_a_value_with_large_arrays_arrives_unchanged(ends):
    sent = {"crops": CROPS, "empty": np.empty((0, 4, 4), np.uint8), "others": ("", None, b"x")}
    # More than a socket's buffer: it must be received while it is being sent.
    sending = threading.Thread(target=messages.send, args=(ends[0], messages.pack(sent)))
    sending.start()
    arrived = messages.unpack(messages.receive(ends[1]))
    sending.join()
    np.testing.assert_array_equal(arrived["crops"], CROPS)
    assert arrived["empty"].shape == (0, 4, 4)
    assert arrived["others"] == ("", None, b"x")


def test_arrays_are_packed_without_copying():
    head, crops = messages.pack({"crops": CROPS})
    assert len(head) < 1000
    assert np.shares_memory(np.frombuffer(crops, np.uint8), CROPS)


@pytest.mark.parametrize("share", [0, 3, 40, 5000])
def test_a_message_cut_short_raises_eof_error(ends, share):
    begun = b"".join(sent_bytes(CROPS[0, :24]))[:share]
    ends[0].sendall(begun)
    ends[0].close()
    with pytest.raises(EOFError):
        messages.receive(ends[1])


def test_a_message_that_stalls_raises_timeout_error_after_the_timeout_of_the_socket(ends):
    ends[0].sendall(b"".join(sent_bytes(CROPS[0, :24]))[:5000])
    ends[1].settimeout(0.05)
    with pytest.raises(TimeoutError):
        messages.receive(ends[1])


def sent_bytes(value):
    """The bytes sent for a value that fits in a socket's buffer."""
    one, other = socket.socketpair()
    with one, other:
        messages.send(one, messages.pack(value))
        one.close()
        while data := other.recv(1 << 20):
            yield data
