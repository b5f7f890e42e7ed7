"""The files of `deploy/` for several servers: checked by other programs, and compared with what the code has.

`scripts/containers.py` builds and runs the containers.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from asr.options import LEDGER
from server.access.client_salt import VARIABLE as SALT_VARIABLE
from server.access.keyring import SECRET_VARIABLE
from server.config import ServerSettings, load_settings
from server.http.app import create_app
from server.metrics import Metrics
from tests.server.fakes import ScriptedEngine

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
KUBERNETES_VERSIONS = ("1.29", "1.34")


def objects() -> Iterator[dict[str, Any]]:
    for file in sorted(KUBERNETES.glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text(encoding="utf-8"))


def kind(name: str) -> dict[str, Any]:
    [found] = [each for each in objects() if each["kind"] == name]
    return found


def compose() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return table


def settings_of(text: str, folder: Path) -> ServerSettings:
    file = folder / "server.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


@pytest.fixture
def pod_settings(tmp_path: Path) -> ServerSettings:
    return settings_of(kind("ConfigMap")["data"]["server.toml"], tmp_path)


@pytest.fixture
def container() -> dict[str, Any]:
    [found] = kind("Deployment")["spec"]["template"]["spec"]["containers"]
    return found  # type: ignore[no-any-return]


# -- by other programs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_kubernetes_knows_each_field(version: str) -> None:
    """By its published schemas; a field that is not in them would be dropped."""
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for each in objects():
        validator.validate(each, version, strict=True)


def test_compose_knows_each_field() -> None:
    """By the schema of the Compose specification."""
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "check", [("config", "--syntax-only", "prometheus.yml"), ("rules", "alerts.yml")], ids=["config", "rules"]
)
def test_prometheus_takes_its_files(check: tuple[str, ...]) -> None:
    """By its own program."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    done = subprocess.run([promtool, "check", *check], cwd=DEPLOY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


# -- by the code ------------------------------------------------------------------------------------------------------


def test_the_pods_command_asks_for_keys(container: Mapping[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    """All of its options and settings are known: it goes on as far as the keys, which are missing here."""
    text = kind("ConfigMap")["data"]["server.toml"]
    file = tmp_path / "server.toml"
    file.write_text(text, encoding="utf-8")
    program, *options = container["command"]
    places = {"/etc/steadyword/server.toml": str(file)}
    options = [places.get(option, option).replace("$(POD_IP)", "10.0.0.3") for option in options]
    monkeypatch.setenv("STEADYWORD_KEYS", "")
    monkeypatch.setenv(SECRET_VARIABLE, "s" * 32)
    command = [str(Path(sys.executable).with_name(program)), *options, "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "asr keys add" in done.stderr, done.stderr


def test_probes_ask_addresses_that_exist(container: Mapping[str, Any], pod_settings: ServerSettings) -> None:
    """On the server's port, by name; compose and the image ask the same."""
    paths = {route.path for route in create_app(load_settings(), [ScriptedEngine()]).routes}  # type: ignore[attr-defined]
    [port] = container["ports"]
    assert port["containerPort"] == pod_settings.port
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in paths
        assert container[probe]["httpGet"]["port"] == port["name"]
    [service] = kind("Service")["spec"]["ports"]
    assert (service["port"], service["targetPort"]) == (pod_settings.port, port["name"])
    annotations = kind("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(pod_settings.port)
    for name in paths & {"/healthz", "/readyz"}:
        assert name in {container[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")}


def test_a_pod_has_the_time_that_its_streams_need(container: Mapping[str, Any], pod_settings: ServerSettings) -> None:
    """Until the proxies know that it goes, then `drain_timeout_s`, and some seconds to end."""
    pod = kind("Deployment")["spec"]["template"]["spec"]
    program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    assert pod["terminationGracePeriodSeconds"] >= float(seconds) + pod_settings.drain_timeout_s + 5
    grace_s = float(compose()["services"]["asr"]["stop_grace_period"].removesuffix("s"))
    assert grace_s >= load_settings().drain_timeout_s + 5
    unit = (DEPLOY / "steadyword.service").read_text(encoding="utf-8")
    assert float(re.findall(r"TimeoutStopSec=(\d+)", unit)[0]) >= load_settings().drain_timeout_s + 5


def test_the_variables_of_the_pod_are_those_of_the_code(container: Mapping[str, Any]) -> None:
    """And each that it takes from a secret is made by the command at the top of the file."""
    variables = {each["name"]: each for each in container["env"]}
    own = {LEDGER, SALT_VARIABLE, SECRET_VARIABLE, "STEADYWORD_KEYS"}
    assert set(variables) == {*own, "POD_IP"}
    text = (KUBERNETES / "deployment.yaml").read_text(encoding="utf-8")
    for each in variables.values():
        if secret := each.get("valueFrom", {}).get("secretKeyRef"):
            assert f"generic {secret['name']} " in text
            assert f"--from-literal={secret['key']}=" in text
    keys = Path(variables["STEADYWORD_KEYS"]["value"])
    assert str(keys.parent) in {each["mountPath"] for each in container["volumeMounts"]}
    assert f"--from-file={keys.name}" in text


def test_the_parts_of_the_deployment_fit(container: Mapping[str, Any], pod_settings: ServerSettings) -> None:
    """Labels and names by which one finds the other; one pod at a time may go; each core has a worker."""
    deployment = kind("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    disruption, scaler = kind("PodDisruptionBudget"), kind("HorizontalPodAutoscaler")
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert kind("Service")["spec"]["selector"] == labels
    assert disruption["spec"]["selector"]["matchLabels"] == labels
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert disruption["spec"]["maxUnavailable"] < scaler["spec"]["minReplicas"]
    assert scaler["spec"]["metrics"][0]["resource"]["name"] in container["resources"]["requests"]
    assert pod_settings.workers == int(container["resources"]["requests"]["cpu"])
    service = kind("Service")["metadata"]["name"]
    assert service in pod_settings.allowed_hosts
    assert f"{service}.default.svc.cluster.local" in pod_settings.allowed_hosts
    assert pod_settings.max_connections_per_address == pod_settings.max_connections
    volumes = {volume["name"] for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes == {mount["name"] for mount in container["volumeMounts"]}
    [config] = [volume for volume in deployment["spec"]["template"]["spec"]["volumes"] if "configMap" in volume]
    assert config["configMap"]["name"] == kind("ConfigMap")["metadata"]["name"]


def test_the_pod_is_the_images_user(container: Mapping[str, Any]) -> None:
    """What the image owns, the pod may write."""
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    user = int(re.findall(r"^USER (\d+)", image, re.MULTILINE)[-1])
    context = kind("Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert context["runAsUser"] == context["fsGroup"] == user
    assert context["runAsNonRoot"]
    home = re.findall(r"^VOLUME (\S+)", image, re.MULTILINE)[-1]
    assert home in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert f"steadyword:{home}" in compose()["services"]["asr"]["volumes"]


def test_alerts_name_metrics_that_exist() -> None:
    """With their labels: each is in the table of docs/OPERATING.md, which another test compares with the code."""
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    described = (DEPLOY.parent / "docs" / "OPERATING.md").read_text(encoding="utf-8")
    exposition = Metrics().render().decode()
    for rule in rules:
        for name in re.findall(r"\basr_\w+", rule["expr"]):
            base = re.sub(r"_(total|bucket)$", "", name)
            assert f"`{base}`" in described, name
            assert re.search(rf"^# TYPE {base}(_total)? ", exposition, re.MULTILINE), name
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert label == "instance" or re.search(rf"by \([^)]*\b{label}\b", rule["expr"]), (rule["alert"], label)


def test_compose_copies_nothing_under_a_root_that_cannot_be_written() -> None:
    """Compose copies a config or secret with content into the container, which Docker refuses: files are mounted."""
    table = compose()
    for service in table["services"].values():
        if service.get("read_only"):
            given = [*service.get("configs", ()), *service.get("secrets", ())]
            parts = table.get("configs", {}) | table.get("secrets", {})
            assert not [
                each for each in given if "file" not in parts[each if isinstance(each, str) else each["source"]]
            ]


@pytest.mark.parametrize("file", ["docs/SCALING.md", "deploy/compose.yaml"])
def test_the_image_is_built_before_what_a_command_prints_is_kept(file: str) -> None:
    """`docker compose run` builds an image that is not there, and prints how: into the file with the key."""
    text = (DEPLOY.parent / file).read_text(encoding="utf-8")
    commands = re.findall(r"docker compose -f deploy/compose\.yaml (\w+)[^\n]*", text)
    assert commands.index("build") < commands.index("run")
    assert re.search(r"compose\.yaml run [^\n]* > deploy/metrics\.key", text)
    ignored = (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/deploy/metrics.key" in ignored


def test_compose_names_what_is_there() -> None:
    """Files, settings, the variant of the image, and the server's name for Prometheus."""
    table = compose()
    services, server = table["services"], table["services"]["asr"]
    for service in services.values():
        for volume in service["volumes"]:
            if volume.startswith("."):
                assert (DEPLOY / volume.split(":")[0]).exists(), volume
    settings = load_settings(DEPLOY / "compose.toml")
    assert "./compose.toml:/etc/steadyword/server.toml:ro" in server["volumes"]
    assert server["command"][-1] == "/etc/steadyword/server.toml"
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][0]
    [target] = scraped["static_configs"][0]["targets"]
    assert target == f"asr:{settings.port}"
    assert "asr" in settings.allowed_hosts
    assert scraped["authorization"]["credentials_file"] == "/run/secrets/metrics_key"
    assert services["prometheus"]["secrets"] == ["metrics_key"]
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(rf"^ +{server['build']['args']['VARIANT']}\)", image, re.MULTILINE)
    assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).is_file()
    assert server["command"][:2] == json.loads(re.findall(r"^CMD (\[.*\])", image, re.MULTILINE)[-1])[:2]
    board = yaml.safe_load((DEPLOY / "grafana" / "dashboards" / "steadyword.yaml").read_text(encoding="utf-8"))
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    assert f"{board['providers'][0]['options']['path']}/steadyword.json" in mounted


def test_both_variants_of_the_image_install_their_lock() -> None:
    """Each is one of `make light`'s; PostgreSQL's driver is the tested one."""
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"cpu\) pip install [^;]*-r /tmp/requirements-cpu\.lock", image)
    assert re.search(r"cuda\) pip install [^;]*-r /tmp/requirements\.lock", image)
    [program] = re.findall(r"awk '(.*?)'", image)
    lock = subprocess.run(
        ["awk", program, str(DEPLOY.parent / "requirements-dev.lock")], capture_output=True, text=True, check=True
    ).stdout
    pins = [line for line in lock.splitlines() if not line.startswith(" ")]
    assert [re.split(r"[=\s]", pin)[0] for pin in pins] == ["psycopg", "psycopg-binary"]
    assert lock.count("--hash=sha256:") > 2
