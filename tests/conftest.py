import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from sshd import SSHD, reach, serving

settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("repeatable")


def pytest_addoption(parser: Any) -> None:
    parser.addoption(
        "--refresh", action="store_true", help="Write tests/expect/ anew from what is printed now."
    )
    parser.addoption("--fuzz", type=int, default=2_000, help="How many damaged files and options are tried.")


def pytest_xdist_auto_num_workers(config: Any) -> Any:
    """Two tests at a time; benchmarks run by themselves."""
    return 0 if config.option.benchmark_only else min(2, os.cpu_count() or 1)


def _shared_by_workers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(autouse=True)
def _same_weights_in_every_test() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _a_cache_of_the_tests_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNV3PROF_CACHE", str(_shared_by_workers(tmp_path_factory) / "cache"))
        yield


@pytest.fixture
def pi(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A device called pi, which is this machine over SSH."""
    if SSHD is None:
        pytest.skip("there is no sshd")
    folder = tmp_path_factory.mktemp("ssh")
    environment = f"MNV3PROF_DEVICE_CACHE={folder}/cache"
    with serving(folder / "server", environment=environment) as server:
        reach(server, monkeypatch)
        yield
