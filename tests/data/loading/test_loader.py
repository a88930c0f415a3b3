"""Batches: what is in them, the same whatever the threads, after a restart and on a mesh."""

import collections
import contextlib
import dataclasses
import gc
import json
import threading

import jax
import numpy as np
import pandas as pd
import pytest
from ag_core.checkpoint import build
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.mesh import make_mesh
from ag_core.model_spec import HeadSpec, ModelSpec
from ag_core.schema import track_table
from ag_core.sequence import one_hot
from ag_core.training import model_loss
from ag_data.augment import Augment
from ag_data.blacklist import Blacklist
from ag_data.loader import Loader
from ag_data.mutate import Mutations
from ag_data.regions import regions_table
from ag_data.sampling import Anywhere, Tiled, Uniform
from ag_data.splice_sites import SpliceSites
from ag_data.streams import Stream, Wanted

SIZE, LENGTH = 20_000, 2048
STRANDED = {"name": ["a", "b", "a", "b", "c"], "strand": ["+", "+", "-", "-", "."]}
OTHER = {"name": ["m", "c"], "strand": [".", "."]}
SITES = {"name": ["donor", "acceptor"] * 2, "strand": ["+", "+", "-", "-"]}
TISSUES = {"name": ["liver", "brain"], "strand": [".", "."]}
REGION = regions_table([("chr1", 0, SIZE, "")])


@pytest.fixture(scope="module")
def human(make_genome, make_store, junctions):
    random = np.random.default_rng(0)
    genome = make_genome({"chr1": "".join(random.choice(list("ACGT"), SIZE))}, name="human")
    starts = random.choice(SIZE - 300, 150, replace=False)
    rows = [(int(s), int(s) + 200, random.choice(["+", "-"]), random.integers(0, 50, 2)) for s in starts if s]
    modalities = {
        "cage": ("signal", 1, STRANDED, {"chr1": random.integers(0, 2000, (SIZE, 5)).astype(np.float32)}),
        "chip_tf": ("signal", 128, TISSUES, {"chr1": random.random((157, 2), np.float32)}),
        "splice_site_usage": ("usage", 1, STRANDED, {"chr1": random.random((SIZE, 5), np.float32)}),
        "splice_sites": ("classes", 1, SITES, {"chr1": random.random((SIZE, 4)) < 0.01}),
        "splice_junctions": ("junctions", 1, TISSUES, {"chr1": junctions(rows)}),
        "contact_maps": ("contacts", 2048, TISSUES, {"chr1": random.normal(size=(10, 4, 2)).astype(np.float32)}),
    }
    return genome, make_store(genome, modalities, name="human.zarr")


@pytest.fixture(scope="module")
def mouse(make_genome, make_store):
    random = np.random.default_rng(9)
    genome = make_genome({"chr2": "".join(random.choice(list("ACGT"), 9000))}, name="mouse")
    values = {"chr2": random.integers(0, 100, (9000, 2)).astype(np.float32)}
    return genome, make_store(genome, {"cage": ("signal", 1, OTHER, values)}, name="mouse.zarr", organism="mouse")


def stream(world, **options):
    genome, store = world
    return Stream(genome, store, options.pop("sampler", None) or Anywhere(REGION, LENGTH), **options)


def load(world, **options):
    settings = {"batch": 3, "length": LENGTH, "augment": Augment(), "seed": 5} | options
    return Loader(world if isinstance(world, list) else [stream(world)], **settings)


def assert_same(batch, other):
    same = jax.tree.map(
        lambda x, y: x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind == "f"), batch, other
    )
    assert jax.tree.all(same), same


def test_rows_are_what_their_windows_hold(human):
    genome, store = human
    wanted = {"cage": Wanted(), "chip_tf": Wanted(resolution=128), "splice_junctions": Wanted(sites=16)}
    with load(human, modalities=wanted) as loader:
        batches = [next(loader) for _ in range(4)]
        windows = [window for index in range(4) for window in loader.windows(index)]
    assert {window.strand for window in windows} == {"+", "-"}
    assert len({window.start for window in windows}) == 12
    for batch in batches:
        assert batch["codes"].shape == (3, LENGTH)
        assert batch["organism"].tolist() == [0, 0, 0]
        assert batch["targets"]["splice_junctions"]["counts"].shape == (3, 16, 16, 4)
    codes = np.concatenate([batch["codes"] for batch in batches])
    signal = np.concatenate([batch["targets"]["cage"]["signal"] for batch in batches])
    for window, own, values in zip(windows, codes, signal, strict=True):
        np.testing.assert_array_equal(own, genome.codes(window))
        expected = store.read("cage", window.as_unstranded())
        if window.negative_strand:
            expected = expected[::-1, [2, 3, 0, 1, 4]]
        np.testing.assert_array_equal(values, expected)


def test_resumed_batches_equal_uninterrupted_ones(human):
    with load(human, threads=4, prefetch=3) as loader:
        first = [next(loader) for _ in range(2)]
        state = json.loads(json.dumps(loader.state()))
        rest = [next(loader) for _ in range(3)]
    assert state["next"] == 2
    with load(human, threads=1, prefetch=1, state=state) as again:
        for batch in rest:
            assert_same(next(again), batch)
        again.restore({**state, "next": 0})
        assert_same(next(again), first[0])
    with load(human, seed=6) as other:
        assert not np.array_equal(next(other)["codes"], first[0]["codes"])


def test_a_state_of_other_settings_is_refused(human, make_store):
    genome, store = human
    with load(human, modalities=["cage"]) as loader:
        state = loader.state()
    with pytest.raises(InputError, match=r"another loader: seed was 5, now 7; make the settings"):
        load(human, modalities=["cage"], seed=7, state=state)
    with pytest.raises(InputError, match=r"batch was 3, now 4; augment.reverse was 0.5, now 0;"):
        load(human, modalities=["cage"], batch=4, augment=Augment(reverse=0), state=state)
    values = {"chr1": store.read("cage", Interval("chr1", 0, SIZE)).astype(np.float32)}
    values["chr1"][7, 0] += 1
    changed = make_store(genome, {"cage": ("signal", 1, STRANDED, values)}, name="changed.zarr")
    with pytest.raises(InputError, match=r"another loader: streams.0.stores.0 was '\w+..., now '"):
        load((genome, changed), modalities=["cage"], state=state)
    sampler = Anywhere(REGION, LENGTH, margin=0)
    with pytest.raises(InputError, match=r"streams\.0\.sampler was"):
        load([stream(human, sampler=sampler)], modalities=["cage"], state=state)
    with pytest.raises(InputError, match="no state of a loader"):
        load(human, state={"next": 3})


def test_an_epoch_has_every_window_once(human):
    genome, _ = human
    sampler = Tiled(REGION, LENGTH)  # 9 windows
    with load(
        [stream(human, sampler=sampler)], batch=4, augment=None, epochs=1, modalities=["cage", "splice_sites"]
    ) as loader:
        assert len(loader) == 3
        batches = list(loader)
        assert loader.windows(2)[1:] == [None] * 3
    assert len(batches) == 3
    np.testing.assert_array_equal(
        np.concatenate([b["codes"] for b in batches])[:9].ravel(), genome.codes(Interval("chr1", 0, 9 * LENGTH))
    )
    assert (batches[2]["codes"][1:] == 4).all()
    targets = batches[2]["targets"]
    assert targets["cage"]["measured"].tolist() == [[True] * 5] + [[False] * 5] * 3
    assert np.isnan(targets["cage"]["signal"][1:]).all()
    assert targets["splice_sites"]["classes"][0].any(axis=1).all()
    assert not targets["splice_sites"]["classes"][1:].any()
    with load(human) as endless, pytest.raises(TypeError, match="has no end"):
        len(endless)


def test_one_batch_holds_organisms_with_different_tracks(human, mouse):
    region = regions_table([("2", 0, 9000, "")])
    streams = [stream(human), stream(mouse, organism=1, sampler=Anywhere(region, LENGTH), name="mouse")]
    with load(streams, batch=8, weights=[3, 1], modalities=["cage", "chip_tf"]) as loader:
        batches = [next(loader) for _ in range(20)]
        tables = loader.tracks
    assert [table["name"].values.tolist() for table in tables["cage"]] == [
        STRANDED["name"],
        ["m", "c"] + ["padding"] * 3,
    ]
    assert set(tables["chip_tf"][1]["name"].values) == {"padding"}
    organism = np.concatenate([batch["organism"] for batch in batches])
    assert 25 < organism.sum() < 55  # 40 expected; shares are exact in 1,000 examples
    for batch in batches:
        assert batch["targets"]["cage"]["signal"].shape == (8, LENGTH, 5)
        of_mouse = batch["organism"] == 1
        measured = batch["targets"]["cage"]["measured"]
        assert (measured == np.where(of_mouse[:, None], [True, True, False, False, False], True)).all()
        assert not np.isnan(batch["targets"]["cage"]["signal"][..., :2]).any()
        assert np.isnan(batch["targets"]["chip_tf"]["signal"][of_mouse]).all()
        assert not batch["targets"]["chip_tf"]["measured"][of_mouse].any()
    model = track_table({"name": ["c", "x"], "strand": [".", "."]})
    with load(streams, modalities={"cage": Wanted(tracks=(model, model))}) as loader:
        assert next(loader)["targets"]["cage"]["measured"].tolist() == [[True, False]] * 3


def test_a_model_trains_on_batches_as_they_are(human):
    genome, store = human
    columns = ["Chromosome", "Position", "Strand", "Kind"]
    sites = SpliceSites(pd.DataFrame([("chr1", p, "+", "donor") for p in range(0, SIZE, 500)], columns=columns))
    blacklist = Blacklist(regions_table([("chr1", 5000, 5600, "")]))
    own = stream((genome, store), blacklist=blacklist, sites=sites)
    wanted = {name: Wanted(sites=8) if name == "splice_junctions" else Wanted() for name in store.modalities}
    with load([own], batch=2, modalities=wanted, device=True) as loader:
        batch = next(loader)
        tables = loader.tracks
    # Shapes and types through the whole step; how values become a loss is tested with the heads.
    options = {"splice_junctions": {"sites": 8, "hidden": 4}}
    heads = {name: HeadSpec(name, tables[name], options.get(name, {})) for name in wanted}
    backbone = dataclasses.replace(PRESETS["tiny"], organisms=0)
    spec = ModelSpec("x", backbone, heads, ("human",), LENGTH, "CC0-1.0")

    def step(batch):
        model = build(spec, key=jax.random.key(0))
        return model_loss(model, one_hot(batch["codes"]), batch["organism"], batch["targets"])

    total, parts = jax.eval_shape(step, batch)
    assert total.shape == ()
    assert {name.partition("/")[0] for name in parts} == set(store.modalities)


def test_mutations_are_for_sequences_alone(human):
    genome, _ = human
    augment = Augment(mutations=Mutations(events=500))
    alone = [Stream(genome, (), Anywhere(REGION, LENGTH))]
    with load(alone, augment=augment, threads=2) as loader:
        batch = next(loader)
        windows = loader.windows(0)
        share = np.mean(batch["codes"] != np.stack([genome.codes(window) for window in windows]))
    assert share > 0.04
    assert batch["targets"] == {}
    with load(human, augment=augment, modalities=(), threads=1) as again:  # no targets are asked for
        assert_same(next(again), batch)
    with pytest.raises(InputError, match="let the teacher make the targets"):
        load(human, augment=augment)


def test_errors_say_what_was_read_and_where(human):
    _, store = human
    chunk = next(path for path in (store.path / "cage/chr1/signal/c").rglob("*") if path.is_file())
    whole = chunk.read_bytes()
    with load(human, modalities=["cage"]) as loader:
        next(loader)
        chunk.write_bytes(whole[: len(whole) // 2])
        message = r"batch \d, row \d, chr1:\d+-\d+:[+-] of stream 0: cage of .*human.zarr: "
        with pytest.raises(InputError, match=message):
            collections.deque(loader, maxlen=0)
        failed = loader.state()["next"]
        chunk.write_bytes(whole)
        batch = next(loader)
        assert loader.state()["next"] == failed + 1
    with load(human, modalities=["cage"]) as other:
        other.restore({**other.state(), "next": failed})
        assert_same(next(other), batch)


def test_no_thread_is_left(human):
    def ours():
        return [thread for thread in threading.enumerate() if thread.name.startswith("ag-loader")]

    loader = load(human, threads=3, prefetch=4)
    next(loader)
    assert ours()
    loader.close()
    loader.close()
    assert not ours()
    with pytest.raises(RuntimeError, match="closed"):
        next(loader)
    with contextlib.suppress(KeyError), load(human) as loader:
        raise KeyError(len(next(loader)))
    assert not ours()
    forgotten = load(human)
    next(forgotten)
    threads = ours()
    del forgotten
    gc.collect()
    for thread in threads:
        thread.join(10)
    assert not ours()


def test_rows_are_split_over_the_mesh(human):
    mesh = make_mesh(data=4, seq=2)
    with (
        load(human, batch=8) as plain,
        load(human, batch=8, mesh=mesh) as split,
        load(human, batch=8, device=True) as put,
    ):
        for _ in range(2):
            batch, on_mesh, on_device = next(plain), next(split), next(put)
            assert_same(batch, jax.device_get(on_mesh))
            assert_same(batch, jax.device_get(on_device))
    for array in jax.tree.leaves(on_mesh):
        assert isinstance(array, jax.Array)
        assert array.sharding.mesh == mesh
        assert {shard.data.shape[0] for shard in array.addressable_shards} == {2}
        assert not array.is_fully_replicated
    assert {shard.data.shape for shard in on_mesh["codes"].addressable_shards} == {(2, on_mesh["codes"].shape[1] // 2)}
    assert all(len(array.devices()) == 1 for array in jax.tree.leaves(on_device))
    with pytest.raises(InputError, match="a batch of 6 cannot be split over 4 devices"):
        load(human, batch=6, mesh=mesh)


def test_what_does_not_fit_is_refused(human, mouse, make_genome):
    genome, store = human
    other = make_genome({"chr1": "ACGT" * 5000}, name="other")
    with pytest.raises(InputError, match="was made on another genome"):
        load((other, store))
    with pytest.raises(InputError, match="no store has 'atac'; they have cage, chip_tf"):
        load(human, modalities=["atac"])
    with pytest.raises(InputError, match="windows are drawn on chr5"):
        load([stream(human, sampler=Uniform(regions_table([("chr5", 0, 10, "")])))])
    with pytest.raises(InputError, match="organism 0 has stores of human and of mouse"):
        load([stream(human), stream(mouse, sampler=Uniform(regions_table([("chr2", 0, 10, "")])))])
    with pytest.raises(InputError, match="cage 'a' is both in"):
        load([Stream(genome, (store, store), Anywhere(REGION, LENGTH))], modalities=["cage"])
    table = track_table(STRANDED)
    with pytest.raises(InputError, match="2 tables of tracks for 3 organisms"):
        load([stream(human, organism=2)], modalities={"cage": Wanted(tracks=(table, table))})
    alone = {"cage": Wanted(tracks=(table.isel(track=[0]).assign_coords(track=[0]),))}
    with pytest.raises(InputError, match=r"1 tracks on '\+' but 0 on '-': they must pair up; add the missing strand"):
        load(human, modalities=alone)
    with load(human, modalities=alone, augment=Augment(reverse=0)) as loader:
        assert next(loader)["targets"]["cage"]["signal"].shape == (3, LENGTH, 1)
    with pytest.raises(InputError, match="`sites` is for junctions"):
        load(human, modalities={"cage": Wanted(sites=3)})
    with pytest.raises(InputError, match="1 weights for 2 streams"):
        load([stream(human), stream(human)], weights=[1])
    with pytest.raises(InputError, match="of a single stream whose sampler has a size"):
        load([stream(human), stream(human)], epochs=1)
    with pytest.raises(InputError, match="threads=0"):
        load(human, threads=0)
    with pytest.raises(InputError, match="no whole number of bins of 2,048 bp"):
        load(human, length=1000, modalities=["contact_maps"])
