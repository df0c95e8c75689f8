import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("repeatable")


def pytest_addoption(parser):
    parser.addoption(
        "--refresh", action="store_true", help="Write tests/expect/ anew from what is printed now."
    )


@pytest.fixture(autouse=True)
def _same_weights_in_every_test():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _a_cache_of_the_tests_own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CI", raising=False)  # where progress is told in lines
        patch.setenv("MNV3PROF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
