"""No machine of ours has a GPU: a program in the place of the driver's own answers as that is documented to."""

from pathlib import Path

import pytest

from pipeline.lib import accelerators


@pytest.mark.parametrize(
    ("says", "expected"),
    [("echo 1000\necho 500", [1.048576, 0.524288]), ("echo '[N/A]'", []), ("exit 9", [])],
)
def test_free_memory_is_what_the_driver_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, expected: list[float]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert accelerators.free_memory() == expected


def test_without_a_driver_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert accelerators.free_memory() == []
