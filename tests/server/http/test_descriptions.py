"""`/openapi.json`, `/asyncapi.json` and `/docs` say what the code does."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from server.config import load_settings
from server.http import asyncapi
from server.http.app import create_app
from server.wires import deepgram, deepgram_flux, deepgram_messages, jambonz, openai_realtime, openai_realtime_messages
from server.wires.deepgram_flux import parse_flux
from server.wires.deepgram_prerecorded import parse_prerecorded
from server.wires.deepgram_query import ParameterError, parse_query
from server.wires.openai_transcriptions import FormError, parse_form
from tests.server.access.keys import made
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ScriptedEngine()) as one:
        yield one


@pytest.fixture(scope="module")
def described(server: Running) -> dict[str, Any]:
    return dict(httpx.get(f"{server.url}/openapi.json").json())


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, methods in described["paths"].items() for method, one in methods.items()]


def test_every_route_is_described_and_no_other(described: dict[str, Any]) -> None:
    """By path and method; each operation has a name of its own and a summary."""
    routes = create_app(load_settings(), [ScriptedEngine()]).routes
    real = {
        (route.path.replace(":path", ""), method.lower())
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    found = operations(described)
    assert {(path, method) for path, method, _ in found} == real
    assert len({one["operationId"] for *_, one in found}) == len(found)
    assert all(one["summary"] for *_, one in found)


def test_every_parameter_described_is_one_that_the_parser_knows(described: dict[str, Any]) -> None:
    """And every one that it knows is described: an unknown one is refused by a sentence that lists the known ones."""
    parameters = {p["name"]: p for p in described["paths"]["/v1/listen"]["post"]["parameters"]}
    with pytest.raises(ParameterError) as refusal:
        parse_prerecorded([("no_such", "1")])
    assert set(str(refusal.value).split("known are ")[1].split(", ")) <= set(parameters)
    examples = {"integer": "8000", "boolean": "true"}
    for name, parameter in parameters.items():
        schema = parameter["schema"]
        try:
            parse_prerecorded([(name, schema.get("enum", [examples.get(schema["type"], "en")])[0])])
        except ParameterError as error:
            said = str(error)
        else:
            said = ""
        assert "unknown parameter" not in said, name


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/audio/translations"])
def test_every_field_described_is_one_that_the_form_knows(described: dict[str, Any], path: str) -> None:
    """By the sentence of an unknown one."""
    form = described["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    translate = path.endswith("translations")
    with pytest.raises(FormError) as refusal:
        parse_form([("no_such", "1")], translate=translate)
    assert set(str(refusal.value).split("known are ")[1].split(", ")) | {"temperature"} == set(form)


def test_every_answer_is_described(server: Running, described: dict[str, Any]) -> None:
    """Each operation is called with nothing, and with what is wrong: its status is one that is described."""
    for path, method, operation in operations(described):
        for body in ({}, {"content": b"{", "headers": {"content-type": "application/json"}}):
            answer = httpx.request(method, server.url + path.replace("{name}", "none"), timeout=60, **body)  # type: ignore[arg-type]
            assert str(answer.status_code) in operation["responses"], (path, method, answer.text)


def test_an_address_asks_for_a_key_exactly_if_that_is_described(tmp_path: Path) -> None:
    """On a server with keys; no address of a key answers without one."""
    keys = made(tmp_path)
    with running(ScriptedEngine(), keys_file=str(keys.file)) as server:
        described = httpx.get(f"{server.url}/openapi.json").json()
        for path, method, operation in operations(described):
            answer = httpx.request(method, server.url + path.replace("{name}", "none"), timeout=60)
            assert (answer.status_code == 401) == ("security" in operation), (path, method)


def test_the_page_has_every_address_and_no_script(server: Running, described: dict[str, Any]) -> None:
    """Under the same Content-Security-Policy as every page."""
    answer = httpx.get(f"{server.url}/docs")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    for path in described["paths"]:
        assert path in answer.text
    assert not re.search(r"<script|<style| style=| on\w+=|https?://", answer.text)
    icon, sheet = re.findall(r'href="(static/[^"]+)"', answer.text)
    assert httpx.get(f"{server.url}/{icon}").status_code == httpx.get(f"{server.url}/{sheet}").status_code == 200


def test_a_summary_says_what_the_address_does_and_not_its_name_again(described: dict[str, Any]) -> None:
    """A sentence each."""
    for path, method, operation in operations(described):
        assert re.match(r"[A-Z0-9]", operation["summary"]), path
        assert operation["summary"].endswith("."), path
        assert f"{method.upper()} /" not in operation["summary"], path
        assert "route" not in operation["summary"], path


# -- sockets ---------------------------------------------------------------------------------------------------------


def test_every_socket_is_described_and_no_other() -> None:
    """By path."""
    routes = create_app(load_settings(), [ScriptedEngine()]).routes
    assert {socket.path for socket in asyncapi.SOCKETS} == {r.path for r in routes if isinstance(r, WebSocketRoute)}


def sent_types(*modules: ModuleType) -> set[str]:
    """The types of messages in the sources: `"type": "Name"` in a dictionary, or the first argument of a sender."""
    found: set[str] = set()
    for node in ast.walk(ast.parse("\n".join(inspect.getsource(module) for module in modules))):
        kinds: list[ast.expr] = []
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            kinds = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "type"]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in SENDERS:
            kinds = node.args[:1]
        written = [ast.unparse(kind).replace("{TRANSCRIPTION}", TRANSCRIPTION).removeprefix("f") for kind in kinds]
        found |= {kind[1:-1] for kind in written if kind.startswith("'") and "{" not in kind}
    return found


SENDERS = {"self._message", "self._reply", "self.event", "self._sender.event"}
TRANSCRIPTION = openai_realtime_messages.TRANSCRIPTION


@pytest.mark.parametrize(
    ("path", "modules"),
    [
        ("/v1/listen", (deepgram, deepgram_messages)),
        ("/v2/listen", (deepgram_flux,)),
        ("/v1/jambonz", (jambonz,)),
    ],
)
def test_every_message_type_in_the_sources_is_described(path: str, modules: tuple[ModuleType, ...]) -> None:
    """What the server sends, and no other."""
    [socket] = [one for one in asyncapi.SOCKETS if one.path == path]
    assert sent_types(*modules) - set(socket.client) == set(socket.server)


def test_every_realtime_event_in_the_sources_is_described() -> None:
    """Each literal of an event's name is a described one, and each described one but a session's is a literal."""
    [socket] = [one for one in asyncapi.SOCKETS if one.path == "/v1/realtime"]
    types = sent_types(openai_realtime, openai_realtime_messages)
    events = {kind for kind in types if "." in kind or kind == "error"}
    assert events <= set(socket.server)
    sources = inspect.getsource(openai_realtime) + inspect.getsource(openai_realtime_messages)
    for kind in socket.server:
        assert kind in types or kind.rsplit(".", 1)[-1] in sources, kind


@pytest.mark.parametrize(("path", "parse"), [("/v1/listen", parse_query), ("/v2/listen", parse_flux)])
def test_the_query_of_a_socket_is_what_its_parser_knows(path: str, parse: Any) -> None:
    """By the sentence of an unknown one."""
    [socket] = [one for one in asyncapi.SOCKETS if one.path == path]
    with pytest.raises(ParameterError) as refusal:
        parse([("no_such", "1")])
    assert set(str(refusal.value).split("known are ")[1].split(", ")) == set(socket.parameters)
    for name in socket.ignored:
        parse([(name, "true")])


def test_the_references_of_both_documents_lead_somewhere(described: dict[str, Any]) -> None:
    """Within the document."""
    for whole in (described, asyncapi.document()):
        for reference in re.findall(r"'\$ref': '#/([^']+)'", str(whole)):
            place: Any = whole
            for part in reference.split("/"):
                place = place[part]


def test_a_socket_refuses_what_is_not_described(server: Running) -> None:
    """An unknown parameter is 400 before the upgrade."""
    with pytest.raises(InvalidStatus) as refusal, connect(f"{server.ws_url}?no_such=1"):
        pass
    assert refusal.value.response.status_code == 400
