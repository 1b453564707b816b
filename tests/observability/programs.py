"""Real programs on free loopback ports, in folders of their own, for as long as a block lasts."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from conftest import wait_for

DOCS = Path(__file__).resolve().parents[2] / "docs" / "observability"

_INFLUX = """
reporting-disabled = true
bind-address = "127.0.0.1:{other}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = {auth}
  log-enabled = false
"""


def program(name: str) -> str:
    """Where it is; a test that needs it fails where it is not, and says what to do."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed: make observability", pytrace=False)
    return found


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code < 500  # 401 is an answer too
    except requests.RequestException:
        return False


@contextmanager
def started(command: list[str], folder: Path, ready: str) -> Iterator[None]:
    """Run a program until the block ends; it begins when the URL `ready` answers."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "output.log"
    with output.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, cwd=folder) as process:
        try:
            wait_for(lambda: process.poll() is not None or _answers(ready), 60)
            assert process.poll() is None, output.read_text()
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def node_exporter(folder: Path, textfiles: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        program("prometheus-node-exporter"),
        f"--web.listen-address={url.removeprefix('http://')}",
        "--collector.disable-defaults",
        "--collector.meminfo",
        "--collector.textfile",
        f"--collector.textfile.directory={textfiles}",
    ]
    with started(command, folder, url):
        yield url


@contextmanager
def pushgateway(folder: Path, *options: str) -> Iterator[str]:
    url = f"http://127.0.0.1:{free_port()}"
    command = [program("prometheus-pushgateway"), f"--web.listen-address={url.removeprefix('http://')}", *options]
    with started(command, folder, f"{url}/-/ready"):
        yield url


@contextmanager
def influx(folder: Path, port: int | None = None, auth: bool = False) -> Iterator[str]:
    """InfluxDB 1; started again on the same folder and port it has what it had."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "influxdb.conf"
    settings.write_text(_INFLUX.format(folder=folder, port=port, other=free_port(), auth=str(auth).lower()))
    url = f"http://127.0.0.1:{port}"
    with started([program("influxd"), "-config", str(settings)], folder, f"{url}/ping"):
        yield url


@contextmanager
def prometheus(folder: Path, targets: dict[str, str]) -> Iterator[str]:
    """Prometheus by the example in docs/observability, looking every second.

    `targets`: addresses of the example → where they are here.
    """
    url = f"http://127.0.0.1:{free_port()}"
    text = (DOCS / "prometheus.yml").read_text()
    replaced = {"30s": "1s", "1m": "1s", "alerts.yml": str(DOCS / "alerts.yml"), **targets}
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new.removeprefix("http://"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(text)
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--log.level=warn",
    ]
    with started(command, folder, f"{url}/-/ready"):
        yield url


def complaints(exposition: bytes) -> list[str]:
    """What `promtool check metrics` says, each line."""
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=exposition, capture_output=True, timeout=60, check=False
    )
    return (done.stdout + done.stderr).decode().splitlines()
