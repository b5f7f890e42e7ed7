"""Attacks a server of its own with hostile messages over all wires, beside healthy streams, and says what they did.

    python scripts/hostile.py --messages 200000 --seed 7 --audio speech.flac

Each round has two halves: healthy streams alone, then the same streams beside the attack. What is compared is measured
on the same server minutes apart: texts, and the 95th percentile of the time from a word's end until it is final. It
fails if a process dies, a request stays unanswered, a text changes, the log holds a traceback, a place stays taken, or
memory grows by more than 5 % after the first round. `attack` alone works on any server, in any process.
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ

ANSWER_S = 60.0
"""Nothing is answered later, whatever the load: beyond it a request counts as unanswered."""
AT_ONCE = 6
"""Scenarios at the same time."""
CHUNK_S = 0.1
RETRY_S = 5.0
"""What the server's Retry-After says."""
RAW = "encoding=linear16&sample_rate=16000"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@dataclass
class Attack:
    """What was sent, and what was not answered."""

    url: str
    wyoming: tuple[str, int] | None
    random: random.Random
    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    frames: int = 0

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").strip("/").rsplit(":", 1)
        return host, int(port)


# -- hostile material ------------------------------------------------------------------------------------------------


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


# -- one request, and its answer --------------------------------------------------------------------------------------


async def raw_request(attack: Attack, name: str, data: bytes, *, half: bool = False) -> None:
    """Sends bytes and waits for any answer or the end. `half` says that the request is not whole."""
    attack.sent[name] += 1
    reader, writer = await asyncio.open_connection(*attack.address)
    try:
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
            async with asyncio.timeout(ANSWER_S):
                line = await reader.readline()
            attack.answers[line[9:12].decode("latin-1") if line.startswith(b"HTTP/") else "closed"] += 1
            if not line.startswith(b"HTTP/1.1 ") and not half:
                attack.answers["no status"] += 1
    except TimeoutError:
        attack.unanswered.append(f"{name}: {data[:120]!r}")
    finally:
        writer.close()


async def conversation(
    attack: Attack, name: str, path: str, messages: Iterator[str | bytes], last: str | bytes | None, **options: Any
) -> None:
    """A WebSocket: all messages, the last one, and then the server must close."""
    try:
        async with connect(
            attack.url.replace("http", "ws") + path,
            compression=None,
            max_size=None,
            ping_interval=None,
            open_timeout=ANSWER_S,
            close_timeout=5,
            **options,
        ) as socket:
            reading = asyncio.create_task(_until_closed(socket))
            with contextlib.suppress(WebSocketException, OSError):
                for message in messages:
                    attack.sent[name] += 1
                    async with asyncio.timeout(ANSWER_S):
                        await socket.send(message)
                if last is not None:
                    attack.sent[name] += 1
                    await socket.send(last)
                else:
                    await socket.close()
            async with asyncio.timeout(ANSWER_S):
                await reading
            attack.answers[str(socket.close_code)] += 1
    except TimeoutError:
        attack.unanswered.append(f"{name}: {path[:120]}")
    except (InvalidHandshake, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", type(error).__name__)
        attack.answers[str(status)] += 1


async def _until_closed(socket: ClientConnection) -> None:
    with contextlib.suppress(WebSocketException, OSError):
        async for _ in socket:
            pass


# -- the scenarios ----------------------------------------------------------------------------------------------------

DEEPGRAM = ["KeepAlive", "Finalize", "CloseStream", "Configure", "Speak"]
REALTIME = [
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "response.create",
]
WYOMING = ["describe", "transcribe", "audio-start", "audio-chunk", "audio-stop", "ping"]


def _frames_of(rng: random.Random, kinds: list[str], count: int) -> Iterator[str | bytes]:
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


def _audio_and_controls(rng: random.Random, count: int) -> Iterator[str | bytes]:
    """What is allowed, in an order that no client would choose."""
    for _ in range(count):
        yield rng.choice(
            ['{"type":"KeepAlive"}', '{"type":"Finalize"}', rng.randbytes(2 * rng.randrange(400)), b"\0" * 320]
        )


async def deepgram(attack: Attack) -> None:
    rng, close = attack.random, '{"type":"CloseStream"}'
    if rng.random() < 0.6:
        encoding = rng.choice(
            ["linear16&sample_rate=16000", "linear32&sample_rate=8000&channels=8", "opus", "mulaw&sample_rate=48000"]
        )
        await conversation(
            attack, "listen", f"/v1/listen?encoding={encoding}", _audio_and_controls(rng, rng.randrange(20, 200)), close
        )
    else:
        await conversation(
            attack,
            "listen",
            rng.choice(["/v1/listen", f"/v1/listen?{RAW}"]),
            _frames_of(rng, DEEPGRAM, rng.randrange(1, 60)),
            close,
        )


async def flux(attack: Attack) -> None:
    rng = attack.random
    await conversation(
        attack,
        "flux",
        f"/v2/listen?model=flux-general-en&{RAW}",
        _frames_of(rng, DEEPGRAM, rng.randrange(1, 40)),
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


def post(path: str, content_type: str, body: bytes) -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


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
        await raw_request(attack, "prerecorded", post("/v1/listen?utterances=true", kind, body))
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
        await raw_request(attack, "upload", post("/v1/audio/transcriptions", "multipart/form-data; boundary=x", form))


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
        writer.close()


async def bombs(attack: Attack) -> None:
    """Small messages of much audio."""
    rng = attack.random
    message = ogg_bomb(255 * rng.randrange(2, 60))
    await conversation(attack, "bomb", "/v1/listen", iter([message] * rng.randrange(1, 3)), '{"type":"CloseStream"}')


async def vanishing(attack: Attack) -> None:
    """Streams that end in the middle, by a reset."""
    for _ in range(3):
        reader, writer = await asyncio.open_connection(*attack.address)
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
    reader, writer = await asyncio.open_connection(*attack.address)
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
    writer.transport.abort()


SCENARIOS: tuple[Callable[[Attack], Awaitable[None]], ...] = (
    deepgram, deepgram, deepgram, flux, realtime, realtime, queries, heads, uploads, wyoming, wyoming, bombs, vanishing,
    flood,
)  # fmt: skip
"""Each as often as it stands here."""


async def attack(url: str, wyoming: tuple[str, int] | None, seed: int, messages: int, at_once: int = AT_ONCE) -> Attack:
    """Runs random scenarios until so many messages were sent, each scenario at least once."""
    made = Attack(url, wyoming, random.Random(seed))
    todo = list(SCENARIOS)

    async def run() -> None:
        while todo or made.sent.total() < messages:
            scenario = todo.pop() if todo else made.random.choice(SCENARIOS)
            try:
                await scenario(made)
            except OSError as error:
                made.answers[type(error).__name__] += 1
                await asyncio.sleep(0.2)

    await asyncio.gather(*(run() for _ in range(at_once)))
    return made


# -- the healthy streams ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Healthy:
    """One healthy stream: its text, and for each word how long after its end it was final."""

    text: str
    delays_s: tuple[float, ...]


async def healthy(url: str, samples: np.ndarray) -> Healthy:
    """A stream at the pace of speech."""
    pcm = (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()
    size = round(CHUNK_S * SAMPLE_RATE_HZ) * 2
    words: list[str] = []
    delays_s: list[float] = []
    async with connect(
        url.replace("http", "ws") + f"/v1/listen?{RAW}&interim_results=true", compression=None, max_size=None
    ) as socket:
        began_s = time.monotonic()

        async def read() -> None:
            async for message in socket:
                result = json.loads(message)
                if result["type"] == "Results" and result["is_final"]:
                    for word in result["channel"]["alternatives"][0]["words"]:
                        words.append(word["word"])
                        delays_s.append(time.monotonic() - began_s - word["end"])

        reading = asyncio.create_task(read())
        for number, start in enumerate(range(0, len(pcm), size)):
            await asyncio.sleep(max(0.0, began_s + number * CHUNK_S - time.monotonic()))
            await socket.send(pcm[start : start + size])
        await socket.send('{"type":"CloseStream"}')
        await reading
    return Healthy(" ".join(words), tuple(delays_s))


async def healthy_until(url: str, samples: np.ndarray, over: asyncio.Event) -> list[Healthy]:
    """Streams one after the other, at least one, until `over` is set."""
    streams: list[Healthy] = []
    while not (streams and over.is_set()):
        try:
            streams.append(await healthy(url, samples))
        except InvalidStatus as refused:  # the attack takes places, too: a client tries again
            print(f"a healthy stream was refused: {refused.response.body!r}", file=sys.stderr)
            await asyncio.sleep(RETRY_S)
    return streams


# -- the whole run ----------------------------------------------------------------------------------------------------


class OwnServer:
    """`asr serve` with a log, on two free ports."""

    def __init__(self, model: str, workers: int, folder: Path) -> None:
        self.log = folder / "server.log"
        self.ports = _free_ports(2)
        config = folder / "server.toml"
        config.write_text(f"wyoming_port = {self.ports[1]}\nmax_load = 99.0\n", encoding="utf-8")
        asr = Path(sys.executable).with_name("asr")
        command = [
            str(asr),
            "serve",
            "--port",
            str(self.ports[0]),
            "--config",
            str(config),
            "--model",
            model,
            "--workers",
            str(workers),
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{self.ports[0]}"

    def wait_until_ready(self) -> None:
        while self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                return
            time.sleep(0.3)
        raise SystemExit(f"the server ended: {self.log.read_text()[-2000:]}")

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of the server and of each worker."""
        pids = [
            self.process.pid,
            *map(int, Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()),
        ]
        sizes = {}
        for pid in pids:
            with contextlib.suppress(OSError):
                found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
                name = "server" if pid == self.process.pid else f"worker {pid}"
                if found and int(found[1]) > 100_000:
                    sizes[name] = int(found[1]) / 1024
        return sizes

    def open_streams(self) -> float:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            return float(re.search(r"^asr_open_streams (\S+)", answer.read().decode(), re.MULTILINE)[1])  # type: ignore[index]


def _free_ports(count: int) -> list[int]:
    import socket

    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


async def one_round(
    server: OwnServer, samples: np.ndarray, seed: int, messages: int, quiet_streams: int
) -> dict[str, Any]:
    """The healthy streams alone, then beside the attack."""
    alone = [await healthy(server.url, samples) for _ in range(quiet_streams)]
    over = asyncio.Event()
    beside = asyncio.create_task(healthy_until(server.url, samples, over))
    began_s = time.monotonic()
    made = await attack(server.url, ("127.0.0.1", server.ports[1]), seed, messages)
    attacked_s = time.monotonic() - began_s
    over.set()
    streams = await beside
    p95 = [float(np.percentile([d for stream in part for d in stream.delays_s], 95)) for part in (alone, streams)]
    until_s = time.monotonic() + 90
    while server.open_streams() and time.monotonic() < until_s:
        await asyncio.sleep(1)
    equal = sum(stream.text == alone[0].text for stream in streams)
    return {
        "messages": made.sent.total(),
        "by_wire": dict(made.sent),
        "flood_frames": made.frames,
        "seconds": round(attacked_s, 1),
        "answers": dict(made.answers.most_common()),
        "unanswered": made.unanswered[:20],
        "texts": f"{equal} of {len(streams)} as alone",
        "equal": equal == len(streams),
        "p95_s": [round(value, 2) for value in p95],
        "p95_ratio": round(p95[1] / p95[0], 2),
        "left_open": server.open_streams(),
        "memory_mb": {name: round(size) for name, size in server.memory_mb().items()},
    }


def failures_of(rounds: list[dict[str, Any]], log: str, alive: bool) -> list[str]:
    """What must not happen, and did."""
    failures = [] if alive else ["the server died"]
    for number, made in enumerate(rounds, start=1):
        failures += [f"round {number}: unanswered: {one}" for one in made["unanswered"]]
        failures += [] if made["equal"] else [f"round {number}: a healthy text changed"]
        failures += [] if made["p95_ratio"] <= 1.2 else [f"round {number}: p95 is {made['p95_ratio']} times as long"]
        failures += [f"round {number}: {made['left_open']:g} places stay taken"] if made["left_open"] else []
    first, last = rounds[0]["memory_mb"], rounds[-1]["memory_mb"]
    failures += [
        f"memory of {name}: {first.get(name)} -> {mb} MB" for name, mb in last.items() if mb > 1.05 * first.get(name, 0)
    ]
    tracebacks = log.count("Traceback (most recent call last)")
    return failures + ([f"{tracebacks} tracebacks in the log"] if tracebacks else [])


def main() -> None:
    """Prints a line of JSON for each round; exits with 1 if something happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--messages", type=int, default=3_000, help="in all rounds together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--audio", type=Path, default=Path("asr/ready.flac"), help="what the healthy streams say")
    parser.add_argument("--quiet-streams", type=int, default=2, help="healthy streams alone, in each round")
    options = parser.parse_args()
    samples = np.concatenate(list(read_blocks(options.audio)))
    samples = np.tile(samples, max(1, round(20 * SAMPLE_RATE_HZ / len(samples))))
    with tempfile.TemporaryDirectory() as folder:
        server = OwnServer(options.model, options.workers, Path(folder))
        try:
            server.wait_until_ready()
            rounds = []
            for number in range(options.rounds):
                share = options.messages // options.rounds
                rounds.append(
                    asyncio.run(one_round(server, samples, options.seed + number, share, options.quiet_streams))
                )
                print(json.dumps(rounds[-1]), flush=True)
            failures = failures_of(rounds, server.log.read_text(errors="replace"), server.process.poll() is None)
        finally:
            server.process.terminate()
            server.process.wait(60)
        log = server.log.read_text(errors="replace")
        Path("hostile.log").write_text(log, encoding="utf-8") if failures else None
    print("\n".join(failures) or "nothing was lost")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
