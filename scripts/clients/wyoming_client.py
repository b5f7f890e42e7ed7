"""Home Assistant's speech-to-text over Wyoming, event by event as `homeassistant/components/wyoming/stt.py` has it.

`.clients/agents/bin/python scripts/clients/wyoming_client.py tcp://HOST:PORT WAV` (make clients)
"""

from audio import RATE_HZ, main, pieces
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.info import Describe, Info


async def described(url: str, path: str) -> str:
    """Finds the program as Home Assistant does when the integration is added; then transcribes with its model."""
    async with AsyncClient.from_uri(url) as client:
        await client.write_event(Describe().event())
        while not Info.is_type((event := await client.read_event()).type):
            pass
    [program] = Info.from_event(event).asr
    assert program.supports_transcript_streaming
    return await transcribed(
        url, path, Transcribe(name=program.models[0].name, language=program.models[0].languages[0])
    )


async def without_settings(url: str, path: str) -> str:
    return await transcribed(url, path, Transcribe(language="en"))


async def transcribed(url: str, path: str, request: Transcribe) -> str:
    form = {"rate": RATE_HZ, "width": 2, "channels": 1}
    chunks = []
    async with AsyncClient.from_uri(url) as client:
        await client.write_event(request.event())
        await client.write_event(AudioStart(**form).event())
        async for piece in pieces(path):
            await client.write_event(AudioChunk(**form, audio=piece).event())
        await client.write_event(AudioStop().event())
        kinds = []
        while (event := await client.read_event()) is not None:
            kinds.append(event.type)
            if TranscriptChunk.is_type(event.type):
                chunks.append(TranscriptChunk.from_event(event).text)
            elif Transcript.is_type(event.type):
                text = Transcript.from_event(event).text
            elif TranscriptStop.is_type(event.type):
                break
    assert TranscriptStart.is_type(kinds[0])
    assert "".join(chunks) == text
    return text


if __name__ == "__main__":
    main({"described": described, "without settings": without_settings})
