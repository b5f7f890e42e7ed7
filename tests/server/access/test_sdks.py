"""The real SDKs of Deepgram and OpenAI show keys in their own way. A scripted engine."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from websockets.exceptions import InvalidStatus

from tests.server.access.keys import Made
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, pcm, running, wav

pytestmark = pytest.mark.slow

RAW: dict[str, Any] = {"model": "nova-3", "encoding": "linear16", "sample_rate": 16000}


@pytest.fixture(scope="module")
def server(keys: Made) -> Iterator[Running]:
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        yield server


def deepgram(server: Running, http: httpx.Client, **shown: str) -> DeepgramClient:
    ws = server.url.replace("http", "ws")
    environment = DeepgramClientEnvironment(base=server.url, production=ws, agent=ws, agent_rest=server.url)
    return DeepgramClient(environment=environment, httpx_client=http, **shown)


def live_text(client: DeepgramClient) -> str:
    messages: list[Any] = []
    with client.listen.v1.connect(**RAW) as stream:
        stream.on(EventType.MESSAGE, messages.append)
        listening = threading.Thread(target=stream.start_listening)
        listening.start()
        stream.send_media(pcm(2.0))
        stream.send_close_stream()
        listening.join(60)
    return " ".join(m.channel.alternatives[0].transcript for m in messages if m.type == "Results" and m.is_final)


def test_deepgrams_sdk_with_a_key_and_with_a_token(server: Running, keys: Made) -> None:
    """Live, a recording, and `auth.grant`, whose token a second client uses."""
    with httpx.Client() as http:
        client = deepgram(server, http, api_key=keys.secrets["all"])
        assert live_text(client) == "w0 w1 w2 w3"
        answer: Any = client.listen.v1.media.transcribe_file(request=wav(2.0))
        assert answer.results.channels[0].alternatives[0].transcript == "w0 w1 w2 w3"
        granted = client.auth.v1.tokens.grant(ttl_seconds=60)
        assert granted.expires_in == 60
        assert live_text(deepgram(server, http, access_token=granted.access_token)) == "w0 w1 w2 w3"


def test_deepgrams_sdk_with_a_wrong_key(server: Running) -> None:
    """Its own errors, with the status and our reason."""
    with httpx.Client() as http:
        client = deepgram(server, http, api_key="wrong")
        with pytest.raises(ApiError) as refused:
            client.listen.v1.media.transcribe_file(request=wav(2.0))
        assert refused.value.status_code == 401
        assert "INVALID_AUTH" in str(refused.value.body)
        with pytest.raises(InvalidStatus) as closed, client.listen.v1.connect(**RAW):
            pass
        assert closed.value.response.status_code == 401


@pytest.mark.filterwarnings("ignore:connect.* must be used as a context manager:DeprecationWarning")  # in its client
def test_openais_sdk_with_a_key(server: Running, keys: Made) -> None:
    """A recording, models, and a client secret with which a second client opens a Realtime session."""
    file = ("a.wav", wav(2.0))
    with openai.OpenAI(api_key=keys.secrets["all"], base_url=server.url + "/v1", max_retries=0) as client:
        assert client.audio.transcriptions.create(model="whisper-1", file=file).text == "w0 w1 w2 w3"
        assert [model.id for model in client.models.list()] == ["scripted-1"]
        session: Any = {"type": "transcription", "audio": {"input": {"transcription": {"language": "ja"}}}}
        secret = client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60}, session=session
        )
        assert secret.value.startswith("ek_")
    with (
        openai.OpenAI(api_key=secret.value, base_url=server.url + "/v1", max_retries=0) as browser,
        browser.realtime.connect(model="gpt-realtime", extra_query={"intent": "transcription"}) as connection,
    ):
        event: Any = connection.recv()
    assert event.type == "session.created"
    assert event.session.audio.input.transcription.language == "ja"


def test_openais_sdk_with_other_keys(server: Running, keys: Made) -> None:
    """401 and 403 are its own exceptions."""
    file = ("a.wav", wav(2.0))
    with (
        openai.OpenAI(api_key="wrong", base_url=server.url + "/v1", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        client.audio.transcriptions.create(model="whisper-1", file=file)
    assert refused.value.code == "invalid_api_key"
    with (
        openai.OpenAI(api_key=keys.secrets["only-listen"], base_url=server.url + "/v1", max_retries=0) as client,
        pytest.raises(openai.PermissionDeniedError),
    ):
        client.audio.transcriptions.create(model="whisper-1", file=file)


def test_a_large_upload_with_a_wrong_key_gets_its_answer(server: Running) -> None:
    """Not a broken connection: the client reads the response although the body is not wanted."""
    answer = httpx.post(
        server.url + "/v1/listen", content=wav(600.0), headers={"Authorization": "Token wrong"}, timeout=60
    )
    assert answer.status_code == 401
