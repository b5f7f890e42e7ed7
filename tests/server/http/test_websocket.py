"""The WebSocket under a connection."""

from server.http.websocket import MAX_REASON_BYTES, fitting


def test_a_close_reason_fits_into_its_frame() -> None:
    """RFC 6455: 123 bytes of UTF-8, and no half character at the end."""
    assert len(fitting("DATA-0000: " + "ü" * 200).encode()) <= MAX_REASON_BYTES
    assert fitting("DATA-0000: " + "ü" * 200).startswith("DATA-0000: üü")
