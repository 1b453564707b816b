import multiprocessing
import subprocess
import sys
import time

import pytest

from pipeline.metrics import resources
from pipeline.metrics.resources import Sampler
from pipeline.metrics.rows import ResourceSample

RUN = "20261120T020000Z"


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_short_stage_has_a_first_and_a_last_sample_and_its_cpu_and_memory():
    kept: list[ResourceSample] = []
    with Sampler(RUN, "train", 60, kept.append) as sampler:
        busy(0.2)
    assert len(kept) == 2
    assert all((each.run, each.stage) == (RUN, "train") for each in kept)
    found = sampler.summary()
    assert found["cpu_percent"] > 1
    assert found["memory_used_mb"] > 10
    assert found["network_mb"] >= 0


def test_the_work_of_children_counts_even_when_they_are_gone():
    with Sampler(RUN, "train", 60, lambda _: None) as sampler:
        used = "import time\nwhile time.process_time() < 0.4: pass"
        subprocess.run([sys.executable, "-c", used], check=True)
        begun, ended = sampler.samples[0].at, time.time()
    assert sampler.summary()["cpu_percent"] >= 90 * 0.4 / (ended - begun)


def test_memory_of_living_children_counts():
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    with Sampler(RUN, "train", 60, lambda _: None) as sampler:
        child.start()
        time.sleep(0.3)
    child.terminate()
    child.join()
    first, last = sampler.samples
    assert last.memory_used_mb > first.memory_used_mb


def test_samples_come_every_few_seconds_and_end_with_the_block():
    kept: list[ResourceSample] = []
    with Sampler(RUN, "train", 0.02, kept.append):
        time.sleep(0.5)
    count = len(kept)
    assert count >= 5
    time.sleep(0.1)
    assert len(kept) == count


def test_a_sampler_that_cannot_read_warns_once_and_the_block_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def refuse(_: object) -> None:
        raise OSError("no /proc")

    monkeypatch.setattr(resources.Probe, "read", refuse)
    done = False
    with Sampler(RUN, "train", 0.01, lambda _: None) as sampler:
        time.sleep(0.1)
        done = True
    assert done
    assert [record.message for record in caplog.records] == ["resources are not sampled: OSError: no /proc"]
    assert set(sampler.summary().values()) == {None}


def test_the_mean_of_the_processor_weighs_each_span_by_its_length():
    sampler = Sampler(RUN, "train", 5, lambda _: None)
    sampler.samples = [
        ResourceSample(0.0, RUN, "train", None, 10.0, None, 0.0, 0.0),
        ResourceSample(9.0, RUN, "train", 100.0, 30.0, 5.0, 1.0, 2.0),
        ResourceSample(10.0, RUN, "train", 0.0, 20.0, None, 3.0, 4.0),
    ]
    found = sampler.summary()
    assert found["cpu_percent"] == pytest.approx(90)
    assert (found["memory_used_mb"], found["gpu_memory_used_mb"], found["network_mb"]) == (30.0, 5.0, 7.0)
