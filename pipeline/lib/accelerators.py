"""Memory of the machine's accelerators, as their driver's own program tells it."""

import shutil
import subprocess

_SECONDS = 20


def free_memory() -> list[float]:
    """Free memory of each NVIDIA GPU in gigabytes (10⁹ bytes); empty where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=_SECONDS, check=True).stdout
        return [int(line) * 2**20 / 1e9 for line in told.split()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
