"""A step on a mesh is the step on one device, and its communication is what it has to be."""

import collections

import jax
import numpy as np
import pytest
import sharded
from ag_core.mesh import make_mesh
from ag_core.precision import cast

LENGTH = 16_384


@pytest.mark.slow
def test_losses_and_gradients_of_the_whole_model_on_eight_devices(eleven_heads_model):
    """All eleven heads, data=2 x seq=4; running moments, which come as gradients, included.

    Gradients in float32 are compared with those in float64: eight devices are as exact as one is.
    """
    batch, found, gradients = sharded.make_batch(LENGTH, 2), {}, {}
    for dtype in ("float64", "float32"):
        with jax.enable_x64(dtype == "float64"):
            model, mesh = cast(eleven_heads_model, dtype), make_mesh(2, 4)
            (loss, parts), one = sharded.gradient_program(None, dtype)(model, sharded.as_device_arrays(batch))
            (other, other_parts), eight = sharded.gradient_program(mesh, dtype)(model, sharded.place(batch, mesh))
            assert loss.dtype == dtype
            found[dtype] = {
                "loss": sharded.apart(loss, other),
                "parts": max(sharded.apart(parts[key], other_parts[key]) for key in parts if key.endswith("loss")),
                "gradients": sharded.apart(one, eight),
            }
            gradients[dtype] = [jax.tree.map(lambda x: np.asarray(x, np.float64), each) for each in (one, eight)]
    truth = gradients["float64"][0]
    one, eight = (sharded.apart(truth, each) for each in gradients["float32"])
    print(found, {"float32 against float64, one device": one, "eight": eight})
    assert max(found["float64"].values()) < 1e-12
    assert found["float32"]["loss"] < 1e-5
    assert found["float32"]["parts"] < 1e-5
    assert eight < max(1.5 * one, 1e-5)


@pytest.mark.slow
def test_communication_is_halos_keys_and_values_and_one_reduction(eleven_heads_model):
    """On a mesh along the sequence: no sequence is gathered, nothing is sent all to all."""
    mesh = make_mesh(1, 8)
    batch = sharded.place(sharded.make_batch(LENGTH, 1), mesh)
    model = eleven_heads_model
    program = sharded.gradient_program(mesh).lower(model, batch).compile()
    found = sharded.collectives(program.compiled.as_text())
    kinds = collections.Counter(kind for kind, _, _ in found)
    sizes = collections.Counter()
    for kind, size, _ in found:
        sizes[kind] += size
    print(dict(kinds), dict(sizes))
    # What is left of these turns the pair state (2,048-bp bins) over: no sequence.
    assert sizes["all-to-all"] < 2_000
    # A whole sequence at 1 bp, even of 8 channels in float32, would be 512 KB; one token has 8 keys and 8 values.
    largest = max(size for kind, size, _ in found if kind in ("all-gather", "collective-permute"))
    assert largest <= LENGTH // 128 * 8 * 4
    least = sharded.least_bytes(model, LENGTH)
    print(least)
    assert sum(sizes.values()) <= 1.2 * sum(least.values())


@pytest.mark.slow
def test_memory_falls_with_the_number_of_devices(eleven_heads_model):
    def temporaries(devices):
        mesh = make_mesh(1, devices)
        batch = sharded.place(sharded.make_batch(LENGTH, 1), mesh)
        program = sharded.gradient_program(mesh).lower(eleven_heads_model, batch).compile()
        return program.compiled.memory_analysis().temp_size_in_bytes

    one, eight = temporaries(1), temporaries(8)
    print(one, eight)
    assert eight < 1.1 * one / 8
