"""The official Python SDKs of Deepgram and OpenAI as they are today, with only their addresses changed.

`.clients/agents/bin/python scripts/clients/python_sdks.py URL WAV` (make clients)
"""

import asyncio
import base64
import threading
from typing import Any

from audio import KEY, RATE_HZ, main, pcm
from deepgram import DeepgramClient, DeepgramClientEnvironment
from deepgram.core.events import EventType
from openai import OpenAI

PIECE_BYTES = 3_200


def deepgram(url: str) -> DeepgramClient:
    ws = url.replace("http", "ws", 1)
    return DeepgramClient(
        api_key=KEY, environment=DeepgramClientEnvironment(base=url, production=ws, agent=ws, agent_rest=url)
    )


def streamed(listen: Any, path: str, **options: Any) -> list[Any]:
    """What a live connection answers to the recording."""
    messages: list[Any] = []
    with listen.connect(encoding="linear16", sample_rate=RATE_HZ, **options) as stream:
        stream.on(EventType.MESSAGE, messages.append)
        listening = threading.Thread(target=stream.start_listening)
        listening.start()
        data = pcm(path)
        for start in range(0, len(data), PIECE_BYTES):
            stream.send_media(data[start : start + PIECE_BYTES])
        stream.send_close_stream()
        listening.join(30)
    return messages


def deepgram_live(url: str, path: str) -> str:
    messages = streamed(deepgram(url).listen.v1, path, model="nova-3", language="en-US", smart_format=True)
    return " ".join(m.channel.alternatives[0].transcript for m in messages if m.type == "Results" and m.is_final)


def deepgram_flux(url: str, path: str) -> str:
    messages = streamed(deepgram(url).listen.v2, path, model="flux-general-en", eager_eot_threshold=0.4)
    return " ".join(m.transcript for m in messages if m.type == "TurnInfo" and m.event == "EndOfTurn")


def deepgram_recording(url: str, path: str) -> str:
    with open(path, "rb") as file:
        answer = deepgram(url).listen.v1.media.transcribe_file(request=file.read(), model="nova-3", smart_format=True)
    return str(answer.results.channels[0].alternatives[0].transcript)


def openai(url: str) -> OpenAI:
    return OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)


def openai_recording(url: str, path: str) -> str:
    with open(path, "rb") as file:
        return openai(url).audio.transcriptions.create(model="gpt-4o-transcribe", file=file).text


def openai_events(url: str, path: str) -> str:
    with open(path, "rb") as file:
        events = openai(url).audio.transcriptions.create(model="whisper-1", file=file, stream=True)
        return "".join(event.delta for event in events if event.type == "transcript.text.delta")


def openai_realtime(url: str, path: str, *, commits: bool) -> str:
    data = pcm(path)
    with openai(url).realtime.connect(model="gpt-realtime", extra_query={"intent": "transcription"}) as live:
        given: dict[str, Any] = {
            "format": {"type": "audio/pcm", "rate": RATE_HZ},
            "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
            "turn_detection": None if commits else {"type": "server_vad"},
        }
        live.session.update(session={"type": "transcription", "audio": {"input": given}})
        for start in range(0, len(data), PIECE_BYTES):
            live.input_audio_buffer.append(audio=base64.b64encode(data[start : start + PIECE_BYTES]).decode())
        if commits:
            live.input_audio_buffer.commit()
        return next(e.transcript for e in live if e.type == "conversation.item.input_audio_transcription.completed")


def in_thread(case: Any, **options: Any) -> Any:
    async def run(url: str, path: str) -> str:
        return await asyncio.to_thread(case, url, path, **options)

    return run


if __name__ == "__main__":
    main(
        {
            "deepgram live": in_thread(deepgram_live),
            "deepgram flux": in_thread(deepgram_flux),
            "deepgram recording": in_thread(deepgram_recording),
            "openai recording": in_thread(openai_recording),
            "openai events": in_thread(openai_events),
            "openai realtime, commits": in_thread(openai_realtime, commits=True),
            "openai realtime, server_vad": in_thread(openai_realtime, commits=False),
        }
    )
