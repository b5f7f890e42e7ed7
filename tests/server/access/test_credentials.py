"""Where a key may stand in a request, and where not. Bytes as they come, without a server."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access.credentials import (
    CredentialsError,
    KeyInAddressError,
    answered_subprotocol,
    check_query,
    shown,
)


@pytest.mark.parametrize(
    ("headers", "subprotocols", "key"),
    [
        ([], [], b""),
        ([(b"authorization", b"Token k")], [], b"k"),
        ([(b"authorization", b" \tbEaReR \t k \t")], [], b"k"),
        ([(b"authorization", b"Token \xff\xfe")], [], b"\xff\xfe"),
        ([(b"authorization", b"Token")], [], b""),
        ([(b"authorization", b"")], ["token", "k"], b"k"),
        ([(b"authorization", b"Token k"), (b"authorization", b"Bearer k")], ["token", "k"], b"k"),
        ([(b"api-key", b" k ")], [], b"k"),
        ([(b"x-api-key", b"k")], [], b""),
        ([], ["bearer", "a.b"], b"a.b"),
        ([], ["realtime", "openai-insecure-api-key.k", "openai-beta.realtime-v1"], b"k"),
        ([], ["token", "k", "x-deepgram-session-id", "1"], b"k"),
        ([], ["token"], b""),
        ([], ["k", "token"], b""),
        ([], ["Token", "k"], b""),
    ],
)
def test_a_key_is_found_where_clients_show_it(
    headers: list[tuple[bytes, bytes]], subprotocols: list[str], key: bytes
) -> None:
    """RFC 9110: the scheme in any case, blanks around it do not matter."""
    assert shown(headers, subprotocols) == key


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        ([(b"authorization", b"Token a"), (b"authorization", b"Token b")], []),
        ([(b"authorization", b"Token a"), (b"api-key", b"b")], []),
        ([(b"authorization", b"Token a")], ["token", "b"]),
        ([], ["token", "a", "bearer", "b"]),
        ([], ["token", "a", "openai-insecure-api-key.b"]),
        ([(b"authorization", b"Basic YTpi")], []),
        ([(b"authorization", b"Tokenk")], []),
        ([(b"authorization", b"k")], []),
    ],
)
def test_contradictory_and_other_credentials_are_refused(
    headers: list[tuple[bytes, bytes]], subprotocols: list[str]
) -> None:
    """Without a word of what was found."""
    with pytest.raises(CredentialsError) as refused:
        shown(headers, subprotocols)
    assert "YTpi" not in str(refused.value)


@given(
    st.lists(st.tuples(st.sampled_from([b"authorization", b"api-key", b"host"]), st.binary(max_size=40)), max_size=4)
)
def test_any_bytes_give_one_key_or_a_sentence(headers: list[tuple[bytes, bytes]]) -> None:
    """No other error, whatever a stranger sends."""
    with suppress(CredentialsError):
        assert isinstance(shown(headers), bytes)


@pytest.mark.parametrize(
    "query",
    [
        b"token=k",
        b"a=1&access_token=k",
        b"API-KEY=k",
        b"api_key=",
        b"%61uth=k",
        b"to%6ben=k",
        b"x-api-key=k",
        b"key",
        b"Bearer=k",
    ],
)
def test_a_key_in_the_address_is_refused(query: bytes) -> None:
    """In any spelling of the name; the sentence does not repeat the key."""
    with pytest.raises(KeyInAddressError, match="found a key in the address"):
        check_query(query)


@pytest.mark.parametrize(
    "query", [b"", b"keyterm=k&keywords=token", b"resume=abc", b"model=token", b"tag=key", b"%ff=\xff"]
)
def test_other_parameters_are_no_keys(query: bytes) -> None:
    """A stream's own resume token is bound to the key, which is shown beside it."""
    check_query(query)


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (["token", "k"], "token"),
        (["bearer", "k"], "bearer"),
        (["realtime", "openai-insecure-api-key.k"], "realtime"),
        (["openai-insecure-api-key.k", "realtime"], "realtime"),
        (["k"], None),
        ([], None),
    ],
)
def test_the_answered_subprotocol_is_never_a_key(offered: list[str], answered: str | None) -> None:
    """Browsers end a connection that accepts none of those they offer."""
    assert answered_subprotocol(offered) == answered
