"""The promises of Dockerfile and compose.yaml. Nothing here runs a container."""

import json
import re
import subprocess

import pytest

from realmate import __version__
from tests.missing import missing
from tests.servers import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "compose.yaml").read_text()
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


@pytest.mark.parametrize(
    "line",
    [
        r"^USER 10001:10001$",
        r'^CMD \["python", "-m", "realmate\.server"\]$',
        r"^HEALTHCHECK [\s\S]*/readyz",
        r"^VOLUME /var/lib/realmate$",
    ],
)
def test_the_image_has_its_promised_line(line):
    assert re.search(line, LAST_STAGE, re.MULTILINE)


def test_the_image_holds_no_secret():
    assert not re.search(r"SECRET_KEY|WEBHOOK", LAST_STAGE)
    allowed = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert not {".env", "compose.env", ".git", "db.sqlite3"} & set(allowed)
    assert {"chat", "realmate", "manage.py", ".env.example"} < set(allowed)


def test_the_image_of_compose_has_the_version_of_the_code():
    assert f"image: realmate:{__version__}\n" in COMPOSE


def test_every_image_is_pinned_to_a_release():
    images = re.findall(r"image: (\S+)", COMPOSE) + re.findall(r"^ARG BASE=(\S+)", DOCKERFILE, re.M)
    assert len(images) == 6
    assert all(re.search(r":v?\d+\.\d+", image) for image in images)


@pytest.fixture
def compose():
    """Parse compose.yaml with Debian's python3-yaml, because the project does not depend on YAML."""
    script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    command = ["/usr/bin/python3", "-c", script]
    done = subprocess.run(command, input=COMPOSE, capture_output=True, text=True, check=False)
    if done.returncode:
        missing("no YAML on this machine (Debian: apt-get install python3-yaml)")
    return json.loads(done.stdout)


yaml = pytest.mark.by_hand("needs Debian's python3-yaml")


@yaml
def test_without_a_profile_there_is_the_server_alone(compose):
    services = compose["services"]
    assert [name for name in services if "profiles" not in services[name]] == [
        "migrate",
        "realmate",
    ]
    profiles = {name: each["profiles"] for name, each in services.items() if "profiles" in each}
    assert {profile for [profile] in profiles.values()} == {"postgres", "proxy", "monitoring"}


@yaml
def test_whatever_is_named_exists(compose):
    for service in compose["services"].values():
        assert set(service.get("depends_on", ())) <= compose["services"].keys()
        assert set(service.get("networks", ())) <= compose["networks"].keys()
        for source in (mount.split(":")[0] for mount in service.get("volumes", ())):
            if not source.startswith("./"):
                assert source in compose["volumes"]
            elif source != "./compose.token":
                assert (ROOT / source).exists()


@yaml
def test_every_service_that_goes_on_says_whether_it_is_well(compose):
    services = dict(compose["services"])
    services.pop("migrate")
    server = services.pop("realmate")
    assert "read_only" in server  # its health is in the Dockerfile
    assert all("healthcheck" in service for service in services.values())
    for service in compose["services"].values():
        conditions = {each["condition"] for each in service.get("depends_on", {}).values()}
        assert conditions <= {"service_healthy", "service_completed_successfully"}


@yaml
def test_no_port_but_the_proxy_s_is_open_to_the_network(compose):
    for name, service in compose["services"].items():
        for port in service.get("ports", ()):
            assert name == "proxy" or port.startswith("127.0.0.1:")


@yaml
def test_the_service_trusts_the_address_of_the_proxy_alone(compose):
    services = compose["services"]
    address = services["proxy"]["networks"]["inside"]["ipv4_address"]
    assert services["realmate"]["environment"]["TRUSTED_PROXIES"] == address
