"""What a stage takes: a thread that looks every few seconds, and what it saw in one line.

cpu_percent         of this process and its children; 100 is one core, 200 are two
memory_used_mb      their resident memory (10⁶ bytes)
gpu_memory_used_mb  of all graphics cards of the machine
network_*_mb        of the machine, since the stage began; the loopback does not count
"""

import sys
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from pipeline.lib.logs import logger
from pipeline.metrics.rows import ResourceSample

_MB = 1e6  # bytes


class Sampler:
    """Samples while its block runs, at the begin, every `seconds`, and at the end.

    Args:
        run: the night, or a round of it.
        stage: what is running.
        seconds: between two samples.
        add: takes each sample; called from the sampler's thread.

    What cannot be read is none. A sampler that fails says so once and stops; the block never notices.
    """

    def __init__(self, run: str, stage: str, seconds: float, add: Callable[[ResourceSample], None]) -> None:
        self.samples: list[ResourceSample] = []
        self._run, self._stage, self._seconds, self._add = run, stage, seconds, add
        self._done = Event()
        self._thread = Thread(target=self._watch, name="resources", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads
            logger.warning("resources are not sampled: %s", error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def summary(self) -> dict[str, Any]:
        """Mean CPU, most memory, most GPU memory, network in both directions; none where nothing was measured."""
        spans = [
            (each.cpu_percent, max(1e-6, each.at - before.at))
            for before, each in pairwise(self.samples)
            if each.cpu_percent is not None
        ]
        span = sum(seconds for _, seconds in spans)
        sums = [
            each.network_sent_mb + each.network_received_mb
            for each in self.samples
            if each.network_sent_mb is not None and each.network_received_mb is not None
        ]
        return {
            "cpu_percent": sum(percent * seconds for percent, seconds in spans) / span if spans else None,
            "memory_used_mb": _most(each.memory_used_mb for each in self.samples),
            "gpu_memory_used_mb": _most(each.gpu_memory_used_mb for each in self.samples),
            "network_mb": max(sums, default=None),
        }

    def _watch(self) -> None:
        try:
            probe = Probe()
            while True:
                ended = self._done.is_set()
                sample = ResourceSample(time.time(), self._run, self._stage, **probe.read())
                self.samples.append(sample)
                self._add(sample)
                if ended:
                    return
                self._done.wait(self._seconds)
        except Exception as error:  # whatever a strange /proc or driver brings
            logger.warning("resources are not sampled: %s: %s", type(error).__name__, error)


class Probe:
    """Reads what this process, its children and the machine use; `cpu_percent` is since the reading before."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._process = psutil.Process()
        self._gpu = _gpu_reader()
        self._busy: tuple[float, float] | None = None  # seconds of processors, and by the clock
        self._network = self._counted()

    def read(self) -> dict[str, float | None]:
        """The values of a `ResourceSample`; the first reading has no CPU yet."""
        busy, memory = self._tree()
        now = time.monotonic()
        before, self._busy = self._busy, (busy, now)
        sent, received = self._traffic()
        return {
            "cpu_percent": None if before is None else 100 * max(0.0, busy - before[0]) / max(1e-3, now - before[1]),
            "memory_used_mb": memory / _MB,
            "gpu_memory_used_mb": self._gpu(),
            "network_sent_mb": sent,
            "network_received_mb": received,
        }

    def _tree(self) -> tuple[float, int]:
        """Seconds of processors and bytes of memory. A child that was waited for lives on in its parent's seconds."""
        seconds, memory = 0.0, 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                with process.oneshot():
                    seconds += sum(process.cpu_times()[:4])  # user and system, its own and its dead children's
                    memory += process.memory_info().rss
            except (self._psutil.NoSuchProcess, self._psutil.AccessDenied):
                continue
        return seconds, memory

    def _traffic(self) -> tuple[float | None, float | None]:
        now = self._counted()
        if now is None or self._network is None:
            return None, None
        # A card that was taken out, or a counter that began anew, would count backwards.
        return max(0, now[0] - self._network[0]) / _MB, max(0, now[1] - self._network[1]) / _MB

    def _counted(self) -> tuple[int, int] | None:
        try:
            cards = self._psutil.net_io_counters(pernic=True)
        except OSError:
            return None
        outside = [card for name, card in cards.items() if not name.startswith("lo")]
        return sum(card.bytes_sent for card in outside), sum(card.bytes_recv for card in outside)


def _gpu_reader() -> Callable[[], float | None]:
    """Asks the driver; without NVIDIA's, torch, where a program has loaded it anyway."""
    import pynvml

    try:
        pynvml.nvmlInit()
        cards = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        sum(pynvml.nvmlDeviceGetMemoryInfo(card).used for card in cards)
    except pynvml.NVMLError:
        return _torch_reading
    return lambda: sum(pynvml.nvmlDeviceGetMemoryInfo(card).used for card in cards) / _MB if cards else None


def _torch_reading() -> float | None:
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda") or not torch.cuda.is_initialized():
        return None
    return sum(float(torch.cuda.memory_reserved(card)) for card in range(torch.cuda.device_count())) / _MB


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
