import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.checkpoint import HeadSpec, ModelSpec, outline
from ag_core.config import PRESETS
from ag_core.mesh import DATA, SEQ, make_mesh, pin, put
from ag_core.schema import track_table

LENGTH = 8192


def test_sharded_model_equals_the_unsharded_one(randomise):
    table = track_table({"name": ["a", "a", "b"], "strand": ["+", "-", "."]})
    heads = {"cage": HeadSpec("cage", (table, table))}
    spec = ModelSpec("toy", PRESETS["tiny"], heads, ("human", "mouse"), LENGTH, "Apache-2.0")
    model = randomise(outline(spec))
    dna = np.eye(5, 4, dtype=np.float32)[np.random.default_rng(0).integers(0, 5, (2, LENGTH))]
    organism = np.array([0, 1], np.int32)
    run = eqx.filter_jit(lambda model, dna, organism, mesh=None: model(dna, organism, mesh=mesh))
    mesh = make_mesh(data=2, seq=4)
    sharded = run(model, put(dna, mesh, DATA, SEQ), put(organism, mesh, DATA), mesh)
    for array in sharded["cage"].values():
        assert {shard.data.shape[:2] for shard in array.addressable_shards} == {(1, array.shape[1] // 4)}
    whole = run(model, jnp.asarray(dna), jnp.asarray(organism))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), sharded, whole)


def test_shapes_of_meshes():
    assert make_mesh().shape == {"data": 1, "seq": 8}
    assert make_mesh(data=2).shape == {"data": 2, "seq": 4}
    assert make_mesh(data=1, seq=2).size == 2


@pytest.mark.parametrize(
    ("data", "seq", "message"),
    [
        (3, 4, "data=3 x seq=4 needs 12 devices, 8 are there"),
        (9, None, "needs 9 devices"),
        (0, None, "at least 1"),
        (2, 0, "at least 1"),
    ],
)
def test_meshes_that_do_not_fit(data, seq, message):
    with pytest.raises(ValueError, match=message):
        make_mesh(data, seq)


def test_arrays_that_do_not_divide():
    mesh = make_mesh(data=2, seq=4)
    with pytest.raises(ValueError, match=r"axis 1 of an array of shape \(2, 6, 4\) cannot be split over 4 .*'seq'"):
        put(np.zeros((2, 6, 4)), mesh, DATA, SEQ)
    with pytest.raises(ValueError, match="axis 0 of an array"):
        put({"dna": np.zeros((2, 8)), "organism": np.zeros(3)}, mesh, DATA)


def test_pinning_without_a_mesh_does_nothing():
    x = jnp.zeros(3)
    assert pin(x, None, DATA) is x
