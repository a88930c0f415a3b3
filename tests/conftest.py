"""Options and fixtures for all tests."""

import jax
import pytest

# Eight simulated devices, so that sharding is tested everywhere; must precede any use of jax.
jax.config.update("jax_num_cpu_devices", 8)


def pytest_addoption(parser):
    parser.addoption("--golden", default=None, help="folder of golden files (default: ../shared/golden/open, else the bundled ones)")


@pytest.fixture
def getkey():
    """Fresh random keys, the same in every run."""
    counter = iter(range(10**6))
    return lambda: jax.random.key(next(counter))
