"""A phone on the same network uses the microphone after docs/DEPLOYING.md, with its commands as they stand there.

https by the machine's address, a phone's screen in a real Chromium, a scripted engine.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from tests.server.certificates import trusting
from tests.server.docs import DOCS
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running
from tests.server.static.browser import CHROMIUM, NEEDS_CHROMIUM, PATIENCE_MS, QUIET

pytestmark = [pytest.mark.browser, pytest.mark.slow, NEEDS_CHROMIUM]

FLAGS = [*QUIET, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}


def commands() -> list[str]:
    """What the page says to type."""
    section = (DOCS / "DEPLOYING.md").read_text(encoding="utf-8").split("## A phone on the same network", 1)[1]
    return re.findall(r"```\n(.*?)```", section, re.DOTALL)[0].strip().splitlines()


@pytest.fixture(scope="module")
def lan() -> str:
    """This machine's address in its network. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine is in no network")
        found = str(asking.getsockname()[0])
    if found.startswith("127."):
        pytest.skip("this machine is in no network")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phone")


@pytest.fixture(scope="module")
def key(folder: Path) -> str:
    """Printed by the second command."""
    asr = str(Path(sys.executable).with_name("asr"))
    command = [asr, *commands()[1].split()[1:]]
    environment = os.environ | {"STEADYWORD_KEYS": str(folder / "keys.toml")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return re.findall(r"sw_\S+", done.stdout)[0]


@pytest.fixture(scope="module")
def server(folder: Path, key: str, lan: str) -> Iterator[Running]:
    """With the certificate of the first command, and the settings of the third."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    made, _, served = commands()
    subprocess.run(
        made.replace("192.168.1.20", lan), shell=True, cwd=folder, check=True, capture_output=True, timeout=120
    )
    options = dict(re.findall(r"--(\S+) (\S+)", served))
    assert set(options) == {"host", "tls-cert", "tls-key"}
    files = {"tls_cert": str(folder / options["tls-cert"]), "tls_key": str(folder / options["tls-key"])}
    with running(ScriptedEngine(), host=options["host"], keys_file=str(folder / "keys.toml"), **files) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def at(server: Running, lan: str) -> str:
    return f"https://{lan}:{server.url.rsplit(':', 1)[1]}"


def speak(page: Page, key: str) -> None:
    """Types the key, starts, and sees words; ends."""
    page.locator("#key").fill(key)
    page.get_by_role("button", name="Use it").tap()
    expect(page.locator("#model")).to_contain_text("scripted-1")
    page.get_by_role("button", name="Start", exact=True).tap()
    expect(page.locator("#words")).to_contain_text("w0 w1 w2 w3")
    page.get_by_role("button", name="Stop").tap()
    page.wait_for_selector("body[data-phase=idle]")
    expect(page.locator("#notice.error")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_phone_speaks_to_a_server_on_its_network(browser: Browser, server: Running, lan: str, key: str) -> None:
    """The certificate is accepted once, on the browser's own warning; the microphone and the stream then work."""
    context = browser.new_context(**PHONE)
    page = context.new_page()
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        page.goto(at(server, lan))
    page.set_default_timeout(PATIENCE_MS)
    page.locator("#details-button").click()
    page.locator("#proceed-link").click()
    speak(page, key)
    context.close()


def test_the_certificate_names_the_address(server: Running, folder: Path, lan: str) -> None:
    """A phone that has it installed is asked nothing: it is trusted for this address."""
    host, port = lan, int(server.url.rsplit(":", 1)[1])
    with (
        socket.create_connection((host, port), timeout=30) as plain,
        trusting(folder / "chain.pem").wrap_socket(plain, server_hostname=host) as secure,
    ):
        assert secure.version() == "TLSv1.3"


def test_by_http_the_page_says_what_the_microphone_needs(browser: Browser, lan: str) -> None:
    """The sentence that sends a user to the deploying page."""
    with running(ScriptedEngine(), host="0.0.0.0", insecure=True) as server:
        context = browser.new_context(**PHONE)
        page = context.new_page()
        page.goto(f"http://{lan}:{server.url.rsplit(':', 1)[1]}")
        expect(page.locator("#model")).to_contain_text("scripted-1")
        page.get_by_role("button", name="Start", exact=True).tap()
        expect(page.locator("#notice")).to_contain_text("localhost or https")
        context.close()
