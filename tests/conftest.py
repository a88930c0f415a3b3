"""Options and fixtures for all tests."""

import importlib.metadata
import os
import pathlib

# Most of the time goes into compiling small programs that run once; read when the backend starts. Without fusion
# emitters that takes a third of the time; later versions do not know the flag, and abort.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0"
    + " --xla_cpu_use_fusion_emitters=false" * importlib.metadata.version("jaxlib").startswith("0.10."),
)

import equinox as eqx
import jax
import numpy as np
import pytest
from hypothesis import settings

# Eight simulated devices, so that sharding is tested everywhere; must precede any use of jax.
jax.config.update("jax_num_cpu_devices", 8)

# The first example of a property compiles, which no deadline foresees.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


def pytest_configure(config):
    """What one worker compiles, the other and the next run need not."""
    if (cache := getattr(config, "cache", None)) is not None:  # -p no:cacheprovider
        jax.config.update("jax_compilation_cache_dir", str(cache.mkdir("jax")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_addoption(parser):
    parser.addoption(
        "--golden",
        default=None,
        help="folder of golden files (default: ../shared/golden/open, else the bundled ones)",
    )
    parser.addoption("--shared", default=None, help="folder of the large real data sets (default: ../shared/data)")


# Programs since caches were last emptied.
_compiled = [0]


@jax.monitoring.register_event_duration_secs_listener
def _count_programs(event, *_, **__):
    _compiled[0] += event.endswith("backend_compile_duration")


@pytest.fixture(autouse=True)
def _few_programs():
    """Keeps jax from slowing down: with thousands of programs in its caches, each new one takes five times as long."""
    yield
    if _compiled[0] > 1000:
        jax.clear_caches()
        _compiled[0] = 0


@pytest.fixture(scope="session")
def shared(request):
    """The folder of large real data sets; who asks for tests of these and has none is told so, not passed over."""
    chosen = request.config.getoption("--shared")
    folder = pathlib.Path(chosen) if chosen else pathlib.Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.fail(f"{folder} is no folder of real data sets; say where they are: --shared DIR")
    return folder


@pytest.fixture
def getkey():
    """Fresh random keys, the same in every run."""
    counter = iter(range(10**6))
    return lambda: jax.random.key(next(counter))


@pytest.fixture(scope="session")
def randomise():
    """Gives every array of a module, or of its outline, random values in an instant.

    Fresh weights will not do: many are 0 or 1, which hides mistakes, and drawing them compiles for minutes.
    """

    def fill(module, seed=0):
        random = np.random.default_rng(seed)

        def draw(path, leaf):
            if not (eqx.is_inexact_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)):
                return leaf
            if getattr(path[-1], "name", "") in ("scale", "second_moment"):
                return jax.device_put(random.uniform(0.5, 1.5, leaf.shape).astype(np.float32))
            return jax.device_put(random.normal(0, 0.2, leaf.shape).astype(np.float32))

        def constant(leaf):
            return type(leaf).__name__ == "Constant"

        return jax.tree_util.tree_map_with_path(draw, module, is_leaf=constant)

    return fill
