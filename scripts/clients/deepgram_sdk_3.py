"""Deepgram's SDK 3, whose API differs from that of later ones, with only the URL changed.

`.clients/deepgram3/bin/python scripts/clients/deepgram_sdk_3.py URL WAV` (make clients)
"""

import asyncio
import threading

from audio import KEY, RATE_HZ, main, pcm
from deepgram import DeepgramClient, DeepgramClientOptions, LiveOptions, LiveTranscriptionEvents, PrerecordedOptions


def client(url: str) -> DeepgramClient:
    return DeepgramClient(KEY, DeepgramClientOptions(url=url))


async def live(url: str, path: str) -> str:
    return await asyncio.to_thread(_live, url, path)


def _live(url: str, path: str) -> str:
    connection = client(url).listen.websocket.v("1")
    texts: list[str] = []
    turn_ended = threading.Event()

    def on_result(_: object, result: object, **__: object) -> None:
        if result.is_final:  # type: ignore[attr-defined]
            texts.append(result.channel.alternatives[0].transcript)  # type: ignore[attr-defined]
        if result.speech_final:  # type: ignore[attr-defined]
            turn_ended.set()

    connection.on(LiveTranscriptionEvents.Transcript, on_result)
    options = LiveOptions(
        model="nova-3", language="en-US", encoding="linear16", sample_rate=RATE_HZ, channels=1, smart_format=True,
        interim_results=True, utterance_end_ms="1000", vad_events=True, endpointing=300,
    )  # fmt: skip
    assert connection.start(options), "start() is False"
    data = pcm(path)
    for start in range(0, len(data), 3200):
        connection.send(data[start : start + 3200])
    turn_ended.wait(20)  # `finish` of this SDK closes the socket without waiting for results
    connection.finish()
    return " ".join(text for text in texts if text)


async def recording(url: str, path: str) -> str:
    with open(path, "rb") as file:
        source = {"buffer": file.read()}
    options = PrerecordedOptions(model="nova-3", smart_format=True, utterances=True)
    answer = client(url).listen.rest.v("1").transcribe_file(source, options)
    return str(answer.results.channels[0].alternatives[0].transcript)


if __name__ == "__main__":
    main({"live": live, "recording": recording})
