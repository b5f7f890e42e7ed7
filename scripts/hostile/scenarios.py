"""The hostile clients, one function for each way to be one, and the attack: random ones at the same time."""

import asyncio
import contextlib
import json
import random
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from websockets.frames import Frame, Opcode

from scripts.hostile.material import (
    audio_and_controls,
    frames_of,
    garbage,
    odd_audio,
    odd_json,
    odd_message,
    odd_number,
    odd_text,
    ogg_bomb,
    post,
)
from scripts.hostile.sending import ANSWER_S, Attack, close_connection, conversation, raw_request

AT_ONCE = 6
"""Scenarios at the same time."""
RAW = "encoding=linear16&sample_rate=16000"
PACKET_S = 0.12
"""The audio in a packet of `ogg_bomb`."""
UPLOAD_S = 5 * 255 * PACKET_S
"""The longest recording among the uploads."""
MAX_MESSAGE_S = 600.0
"""The server recognises no more of one message, and ends the stream."""
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

DEEPGRAM = ["KeepAlive", "Finalize", "CloseStream", "Configure", "Speak"]
REALTIME = [
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "response.create",
]
WYOMING = ["describe", "transcribe", "audio-start", "audio-chunk", "audio-stop", "ping"]


async def deepgram(attack: Attack) -> None:
    rng, close = attack.random, '{"type":"CloseStream"}'
    if rng.random() < 0.6:
        encoding = rng.choice(
            ["linear16&sample_rate=16000", "linear32&sample_rate=8000&channels=8", "opus", "mulaw&sample_rate=48000"]
        )
        await conversation(
            attack, "listen", f"/v1/listen?encoding={encoding}", audio_and_controls(rng, rng.randrange(20, 200)), close
        )
    else:
        await conversation(
            attack,
            "listen",
            rng.choice(["/v1/listen", f"/v1/listen?{RAW}"]),
            frames_of(rng, DEEPGRAM, rng.randrange(1, 60)),
            close,
        )


async def flux(attack: Attack) -> None:
    rng = attack.random
    await conversation(
        attack,
        "flux",
        f"/v2/listen?model=flux-general-en&{RAW}",
        frames_of(rng, DEEPGRAM, rng.randrange(1, 40)),
        '{"type":"CloseStream"}',
    )


async def realtime(attack: Attack) -> None:
    rng = attack.random
    messages = (odd_message(rng, REALTIME) if rng.random() < 0.9 else garbage(rng) for _ in range(rng.randrange(1, 80)))
    await conversation(attack, "realtime", "/v1/realtime?intent=transcription", messages, None)


async def queries(attack: Attack) -> None:
    rng = attack.random
    names = [
        "encoding",
        "sample_rate",
        "channels",
        "model",
        "language",
        "endpointing",
        "utterance_end_ms",
        "prompt",
        "keyterm",
        "callback",
        "multichannel",
        "utt_split",
        "eot_threshold",
        odd_text(rng),
    ]
    for _ in range(20):
        items = [(rng.choice(names), rng.choice([odd_text, odd_number])(rng)) for _ in range(rng.randrange(6))]
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in items)
        path = rng.choice(["/v1/listen", "/v2/listen", "/v1/realtime"])
        upgrade = UPGRADE if rng.random() < 0.5 else ""
        await raw_request(attack, "query", f"GET {path}?{query} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n".encode())


async def heads(attack: Attack) -> None:
    """Raw HTTP: methods, paths, headers, lengths, and things that are no HTTP."""
    rng = attack.random
    for _ in range(20):
        method = rng.choice(
            ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT", "BREW", "\x16\x03\x01"]
        )
        path = rng.choice(
            [
                "/",
                "/metrics",
                "/static/../../etc/passwd",
                "/static/%2e%2e/app.js",
                "/v1/listen",
                "//x",
                "/" + "a" * 9_000,
                "*",
                "http://evil/",
                "/\xff",
                "/v1/models/" + quote(odd_text(rng)),
            ]
        )
        headers = ["Host: localhost"] * rng.choice([1, 1, 1, 0, 2])
        headers += rng.choices(
            [
                "Content-Length: 5",
                "Content-Length: -1",
                "Transfer-Encoding: chunked",
                "Transfer-Encoding: gzip",
                "Expect: 100-continue",
                "Cookie: " + "c" * 9_000,
                "Origin: null",
                "Upgrade: h2c",
                "X: \xff\xfe",
                "A b: c",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 99",
            ],
            k=rng.randrange(6),
        )
        head = (
            f"{method} {path} HTTP/{rng.choice(['1.1', '1.1', '1.0', '2.0'])}\r\n"
            + "".join(f"{header}\r\n" for header in headers)
            + "\r\n"
        )
        await raw_request(
            attack, "head", head.encode("latin-1") + rng.choice([b"", b"hello", b"0\r\n\r\n", b"ffffffff\r\n"])
        )
    big = rng.choice(["Cookie: " + "c" * 280_000, "\r\n".join(["A: b"] * 400)])
    await raw_request(attack, "head", f"GET /v1/listen HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{big}\r\n\r\n".encode())


async def uploads(attack: Attack) -> None:
    rng = attack.random
    for _ in range(6):
        body = rng.choice(
            [
                garbage(rng),
                odd_audio(rng),
                ogg_bomb(255 * rng.randrange(1, 6)),
                json.dumps(odd_json(rng, ["url"])).encode(),
            ]
        )
        kind = rng.choice(
            [
                "audio/wav",
                "application/json",
                "multipart/form-data",
                "text/plain; charset=utf-16",
                odd_text(rng).encode("ascii", "ignore").decode().replace("\r", "").replace("\n", "").replace("\0", ""),
            ]
        )
        await raw_request(attack, "prerecorded", post("/v1/listen?utterances=true", kind, body), audio_s=UPLOAD_S)
        fields = [
            ("file", f'; filename="{quote(odd_text(rng)[:50])}"', body),
            ("model", "", b"whisper-1"),
            (
                rng.choice(["stream", "language", "prompt", "hotwords", "colour", "response_format"]),
                "",
                odd_text(rng).encode(),
            ),
        ]
        form = b"".join(
            b"--x\r\nContent-Disposition: form-data; name=%s%s\r\n\r\n%s\r\n" % (name.encode(), more.encode(), value)
            for name, more, value in fields
            if rng.random() < 0.9
        ) + rng.choice([b"--x--\r\n", b"", b"--y"])
        await raw_request(
            attack,
            "upload",
            post("/v1/audio/transcriptions", "multipart/form-data; boundary=x", form),
            audio_s=UPLOAD_S,
        )


async def wyoming(attack: Attack) -> None:
    if attack.wyoming is None:
        return
    rng = attack.random
    reader, writer = await asyncio.open_connection(*attack.wyoming)
    try:
        with contextlib.suppress(OSError):
            for _ in range(rng.randrange(1, 60)):
                attack.sent["wyoming"] += 1
                payload = garbage(rng)
                event = {
                    "type": rng.choice(WYOMING),
                    "data": {"rate": 16_000, "width": 2, "channels": 1},
                    "payload_length": len(payload),
                }
                writer.write(
                    rng.choice(
                        [
                            json.dumps(event).encode() + b"\n" + payload,
                            odd_message(rng, WYOMING).encode() + b"\n",
                            payload,
                        ]
                    )
                )
                await writer.drain()
            writer.write_eof()
            async with asyncio.timeout(ANSWER_S):
                while await reader.read(65_536):
                    pass
        attack.answers["wyoming closed"] += 1
    except TimeoutError:
        attack.unanswered.append("wyoming")
    finally:
        await close_connection(writer)


async def bombs(attack: Attack) -> None:
    """Small messages of much audio."""
    rng = attack.random
    packets, times = 255 * rng.randrange(2, 60), rng.randrange(1, 3)
    messages = iter([ogg_bomb(packets)] * times)
    audio_s = times * min(packets * PACKET_S, MAX_MESSAGE_S)
    await conversation(attack, "bomb", "/v1/listen", messages, '{"type":"CloseStream"}', audio_s)


async def vanishing(attack: Attack) -> None:
    """Streams that end in the middle, by a reset."""
    for _ in range(3):
        reader, writer = await attack.open()
        writer.write(f"GET /v1/listen?{RAW} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n".encode())
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await reader.readline()
            writer.write(Frame(Opcode.BINARY, b"\0" * 3_200, fin=attack.random.random() < 0.5).serialize(mask=True))
            await writer.drain()
        attack.sent["vanishing"] += 2
        writer.transport.abort()


async def flood(attack: Attack, seconds: float = 3.0) -> None:
    """Frames at full speed, until the server slows them down for good or closes."""
    rng = attack.random
    frame = rng.choice(
        [
            Frame(Opcode.PING, b""),
            Frame(Opcode.PONG, b"x"),
            Frame(Opcode.BINARY, b""),
            Frame(Opcode.CONT, b"x", fin=False),
            Frame(Opcode.TEXT, b'{"type":"KeepAlive"}'),
            Frame(Opcode.TEXT, b'{"type":"Finalize"}'),
        ]
    )
    many = frame.serialize(mask=True) * 500
    reader, writer = await attack.open()
    writer.write(f"GET /v1/listen?{RAW} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n".encode())
    if frame.opcode is Opcode.CONT:
        writer.write(Frame(Opcode.BINARY, b"x", fin=False).serialize(mask=True))
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            await reader.readline()
            while not reader.at_eof():
                writer.write(many)
                attack.frames += 500
                await writer.drain()
                await asyncio.sleep(0)  # over TLS nothing else lets the loop see that the connection broke
    writer.transport.abort()


SCENARIOS: tuple[Callable[[Attack], Awaitable[None]], ...] = (
    deepgram, deepgram, deepgram, flux, realtime, realtime, queries, heads, uploads, wyoming, wyoming, bombs, vanishing,
    flood,
)  # fmt: skip
"""Each as often as it stands here."""


async def attack(
    url: str, wyoming: tuple[str, int] | None, seed: int, messages: int, tls: ssl.SSLContext | None = None
) -> Attack:
    """Runs random scenarios until this number of messages was sent, each scenario at least once."""
    made = Attack(url, wyoming, random.Random(seed), tls)
    todo = list(SCENARIOS)

    async def run() -> None:
        while todo or made.sent.total() < messages:
            scenario = todo.pop() if todo else made.random.choice(SCENARIOS)
            try:
                await scenario(made)
            except OSError as error:
                made.answers[type(error).__name__] += 1
                await asyncio.sleep(0.2)

    await asyncio.gather(*(run() for _ in range(AT_ONCE)))
    return made
