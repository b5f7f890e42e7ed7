"""What hostile clients send: texts, numbers, JSON and audio that are wrong in many ways, drawn from a seed."""

import json
import random
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np


def garbage(rng: random.Random, most: int = 2_000) -> bytes:
    return rng.randbytes(rng.randrange(most))


def odd_text(rng: random.Random) -> str:
    pool = [
        "",
        "\0",
        "\n",
        "\r\nX: y",
        "$x^$",
        "<script>",
        "🙂" * 50,
        "語" * 100,
        "../../etc/passwd",
        "%00",
        "٣",
        "A" * 5_000,
    ]
    return rng.choice(pool) + "".join(
        chr(rng.choice((rng.randrange(32, 127), rng.randrange(160, 50_000)))) for _ in range(rng.randrange(8))
    )


def odd_number(rng: random.Random) -> str:
    return rng.choice(
        [
            "0",
            "-1",
            "+5",
            "1e400",
            "nan",
            "inf",
            "0x10",
            " 5",
            "5 ",
            "٣٣٣",
            "1_000",
            "00016000",
            "9" * 5_000,
            "1.5",
            "16000",
            "16000.0",
        ]
    )


def odd_json(rng: random.Random, kinds: list[str], depth: int = 0) -> Any:
    if depth > 3:
        return None
    choice = rng.randrange(8)
    if choice == 0:
        return [odd_json(rng, kinds, depth + 1) for _ in range(rng.randrange(4))]
    if choice <= 3:
        value = {
            rng.choice(["type", "audio", "session", "data", "rate", "payload_length", odd_text(rng)]): odd_json(
                rng, kinds, depth + 1
            )
            for _ in range(rng.randrange(4))
        }
        return value | ({"type": rng.choice(kinds)} if depth == 0 or rng.random() < 0.3 else {})
    return rng.choice([None, True, -1, 0, 2**70, 1e308, 0.5, odd_text(rng), rng.choice(kinds)])


def odd_message(rng: random.Random, kinds: list[str]) -> str:
    text = json.dumps(odd_json(rng, kinds))
    choice = rng.randrange(10)
    if choice == 0:
        return text[: rng.randrange(len(text) + 1)]
    if choice == 1:
        return rng.choice(
            ["[" * 20_000, '{"a":' * 5_000, "9" * 6_000, "NaN", '{"type": 1e999}', "", "null", '"\\ud800"']
        )
    return text


def ogg_bomb(packets: int) -> bytes:
    """Ogg with Opus of two bytes a packet, 120 ms each."""
    from asr.audio.containers.ogg import page_crc
    from asr.audio.containers.opus import make_head

    def page(flags: int, number: int, body: bytes, lacing: bytes) -> bytes:
        head = b"OggS" + struct.pack("<BBqIIIB", 0, flags, 0 if number < 2 else -1, 1, number, 0, len(lacing)) + lacing
        whole = head + body
        return whole[:22] + struct.pack("<I", page_crc(whole)) + whole[26:]

    head = make_head(1).data
    pages = [page(2, 0, head, bytes([len(head)])), page(0, 1, b"OpusTags" + bytes(8), b"\x10")]
    pages += [page(0, 2 + n, b"\x1b\x02" * 255, b"\x02" * 255) for n in range(packets // 255)]
    return b"".join(pages)


def odd_audio(rng: random.Random) -> bytes:
    """Bytes that begin like a container, and samples that are none."""
    head = rng.choice(
        [
            b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\xff\xff\xff\xff\xff\xff",
            b"OggS\0\2",
            b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff",
            b"fLaC\0\0\0\x22",
            b"ID3\4\0\0\x7f\x7f\x7f\x7f",
            b"\0\0\0\x18ftypisom",
            b"\0\0\0\x08moov",
            np.float32("nan").tobytes(),
            b"",
        ]
    )
    return head + garbage(rng, 6_000)


def frames_of(rng: random.Random, kinds: list[str], count: int) -> Iterator[str | bytes]:
    for _ in range(count):
        choice = rng.randrange(6)
        if choice < 2:
            yield odd_message(rng, kinds)
        elif choice == 2:
            yield odd_audio(rng)
        elif choice == 3:
            yield b""
        else:
            yield garbage(rng)


def audio_and_controls(rng: random.Random, count: int) -> Iterator[str | bytes]:
    """What is allowed, in an order that no client would choose."""
    for _ in range(count):
        yield rng.choice(
            ['{"type":"KeepAlive"}', '{"type":"Finalize"}', rng.randbytes(2 * rng.randrange(400)), b"\0" * 320]
        )


def post(path: str, content_type: str, body: bytes) -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
