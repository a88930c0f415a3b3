"""Targets: exact in small cases, and on the other strand what the heads say they should be."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from ag_core.config import EmbeddingDims
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.plugins import registry
from ag_core.schema import track_table
from ag_data.blacklist import Blacklist
from ag_data.layouts import find_layout
from ag_data.layouts.slots import find_partners, merge_tables, pad_tables, place_tracks
from ag_data.regions import regions_table
from ag_data.splice_sites import SpliceSites
from hypothesis import given, settings
from hypothesis import strategies as st

SIZE = 3 * 2048 + 700
PAIR = {"name": ["a", "b", "b", "a", "c"], "strand": ["+", "+", "-", "-", "."]}
STRANDED = {"name": ["a", "b", "a", "b", "c"], "strand": ["+", "+", "-", "-", "."]}
SITES = {"name": ["donor", "acceptor"] * 2, "strand": ["+", "+", "-", "-"]}
TISSUES = {"name": ["liver", "brain"], "strand": [".", "."]}
DIMS = EmbeddingDims(bp1=4, bp128=4, pair=2)
here = st.integers(-40, SIZE + 40)
same = settings(max_examples=25)


@functools.cache
def head(name, names, strands, **options):
    table = track_table({"name": names, "strand": strands})
    return registry().create("heads", name, (table,), DIMS, key=jax.random.key(0), **options)


def tracks_head(name, columns, **options):
    return head(name, tuple(columns["name"]), tuple(columns["strand"]), **options)


def turned(own, target, length, names=None):
    """What the head makes of a target of the other strand, by the names of its predictions."""
    names = names or {key: key for key in target}
    predictions = {names[key]: jnp.asarray(target[key]) for key in names}
    back = own.reverse_complement(predictions, jnp.array(0), length)
    return {key: np.asarray(back[names[key]]) for key in names}


def both(layout, start, width, **options):
    return (layout.target(Interval("chr1", start, start + width, strand), **options) for strand in "+-")


@pytest.fixture(scope="module")
def genome(make_genome):
    random = np.random.default_rng(0)
    return make_genome({"chr1": "".join(random.choice(list("ACGT"), SIZE)), "chr2": "ACGT" * 500})


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(1)


def reader(kind, store, modality, table=None, resolution=None, **options):
    table = store.tracks(modality) if table is None else table
    part = place_tracks(store, modality, table)
    return find_layout(kind)(modality, table, [part], resolution or store.resolution(modality), **options)


@pytest.fixture(scope="module")
def signal_store(genome, make_store, random):
    fine = random.integers(0, 2000, (SIZE, 5)).astype(np.float16)
    fine[300:310] = np.nan
    coarse = random.integers(0, 100, (-(-SIZE // 32), 5)).astype(np.float32)
    modalities = {
        "cage": ("signal", 1, STRANDED, {"chr1": fine}),
        "dnase": ("signal", 1, STRANDED, {"chr1": fine}),
        "borzoi": ("signal", 32, STRANDED, {"chr1": coarse}),
    }
    return make_store(genome, modalities), fine, coarse


@same
@given(here)
def test_signal_is_the_window_and_its_reverse_what_the_head_says(signal_store, start):
    store, fine, _ = signal_store
    layout, own = reader("signal", store, "cage"), tracks_head("cage", STRANDED)
    forwards, backwards = both(layout, start, 256)
    expected = np.full((256, 5), np.nan, np.float16)
    low, high = np.clip([start, start + 256], 0, SIZE)
    expected[low - start : high - start] = fine[low:high]
    np.testing.assert_array_equal(forwards["signal"], expected)
    assert forwards["signal"].dtype == np.float16
    assert forwards["measured"].all()
    back = turned(own, {"signal": backwards["signal"]}, 256)
    np.testing.assert_array_equal(back["signal"], expected)


@same
@given(here)
def test_cut_sites_lose_no_value_when_reversed(signal_store, start):
    store, fine, _ = signal_store
    layout, own = reader("signal", store, "dnase"), tracks_head("dnase", STRANDED)
    forwards, backwards = both(layout, start, 256)
    # The head blanks position 0, whose value left the window; all others are there.
    back = turned(own, {"signal": backwards["signal"]}, 256)["signal"]
    np.testing.assert_array_equal(back[1:], forwards["signal"][1:])
    assert (back[0] == 0).all()
    # The first reversed value is that of the base after the window, on the partner's strand.
    beyond = fine[start + 256] if 0 <= start + 256 < SIZE else np.full(5, np.nan)
    np.testing.assert_array_equal(backwards["signal"][0], beyond[[2, 3, 0, 1, 4]])


@same
@given(st.integers(0, SIZE - 32 * 20), st.sampled_from([32, 128]))
def test_off_the_grid_sums_are_shared_out(signal_store, start, resolution):
    store, _, coarse = signal_store
    layout = reader("signal", store, "borzoi", resolution=resolution)
    forwards, backwards = both(layout, start, 512)
    # As if each bin were spread evenly over its 32 bases.
    flat = np.repeat(coarse / 32, 32, axis=0)[start : start + 512]
    np.testing.assert_allclose(forwards["signal"], flat.reshape(-1, resolution, 5).sum(axis=1), rtol=1e-5)
    own = tracks_head("chip_tf", STRANDED)
    back = turned(own, {"signal": backwards["signal"]}, 512)["signal"]
    np.testing.assert_allclose(back, forwards["signal"], rtol=1e-5)


def test_coarser_bins_are_sums(signal_store):
    store, fine, _ = signal_store
    target = reader("signal", store, "cage", resolution=128).target(Interval("chr1", 65, 65 + 256))["signal"]
    assert target.dtype == np.float32
    np.testing.assert_array_equal(target[0], fine[65:193].astype(np.float32).sum(axis=0))
    assert np.isnan(target[1]).all()  # bases 300 to 309 were not measured
    with pytest.raises(InputError, match="bins of 32 bp, which do not make up the 48 bp"):
        reader("signal", store, "borzoi", resolution=48)
    with pytest.raises(InputError, match="no whole number of bins of 128 bp"):
        reader("signal", store, "cage", resolution=128).target(Interval("chr1", 0, 200))


def test_tracks_go_to_the_slots_of_their_names(signal_store):
    store, fine, _ = signal_store
    names = ["padding", "c", "x", "b", "a", "a", "b", "x", "padding"]
    model = track_table({"name": names, "strand": [".", ".", "+", "-", "+", "-", "+", "-", "."]})
    with pytest.raises(InputError, match="'x' is paired with 'b'"):
        find_partners("cage", model)
    model = track_table({"name": names, "strand": [".", ".", "+", "+", "+", "-", "-", "-", "."]}).isel(
        track=[0, 1, 2, 3, 4, 7, 6, 5, 8]
    )
    layout = reader("signal", store, "cage", model)
    forwards, backwards = both(layout, 0, 256)
    assert forwards["measured"].tolist() == [False, True, False, True, True, False, True, True, False]
    np.testing.assert_array_equal(forwards["signal"][:, [4, 3, 7, 6, 1]], fine[:256])
    assert np.isnan(forwards["signal"][:, [0, 2, 5, 8]]).all()
    own = tracks_head("cage", {key: model[key].values.tolist() for key in ("name", "strand")})
    back = turned(own, {"signal": backwards["signal"]}, 256)["signal"]
    np.testing.assert_array_equal(back, forwards["signal"])
    np.testing.assert_array_equal(backwards["measured"], forwards["measured"])
    other = track_table({"name": ["y"], "strand": ["."]})
    with pytest.raises(InputError, match=r"none of its cage tracks \(a \(\+\), b \(\+\), a \(-\), ...\) is in"):
        place_tracks(store, "cage", other)


def test_what_is_not_there_is_not_measured(signal_store):
    store, _, _ = signal_store
    absent = reader("signal", store, "cage").target(Interval("chr2", 0, 256))
    assert not absent["measured"].any()
    assert np.isnan(absent["signal"]).all()
    assert place_tracks(store, "atac", store.tracks("cage")) is None
    shapes = {"signal": (2, 5), "usage": (256, 5), "classes": (256, 5), "contacts": None, "junctions": (4, 512)}
    for kind, shape in shapes.items():
        width = 4096 if kind == "contacts" else 256
        table = track_table(TISSUES if kind == "junctions" else STRANDED)
        target = find_layout(kind)("any", table, (), 2048 if kind == "contacts" else 128).target(
            Interval("chr7", 0, width)
        )
        first, *others = target.values()
        assert first.shape == shape or (kind == "contacts" and first.shape == (2, 2, 5))
        if kind == "classes":
            assert not first.any()
        elif kind == "junctions":
            assert (first == -1).all()
            assert np.isnan(others[0]).all()
            assert others[0].shape == (512, 512, 4)
        else:
            assert np.isnan(first).all()
            assert not any(other.any() for other in others)


def test_listed_places_are_not_measured(signal_store):
    store, _, _ = signal_store
    blacklist = Blacklist(regions_table([("1", 100, 130, ""), ("chr1", 255, 260, "")]))
    listed = np.r_[100:130, 255]
    forwards, backwards = both(reader("signal", store, "dnase"), 0, 256, blacklist=blacklist)
    assert np.flatnonzero(np.isnan(forwards["signal"][:, 0])).tolist() == listed.tolist()
    # Reversed, the values are those of bases 256 to 1: 256 is listed too.
    assert np.flatnonzero(np.isnan(backwards["signal"][:, 0])).tolist() == sorted([0, *(256 - listed)])
    coarse = reader("signal", store, "cage", resolution=128).target(Interval("chr1", 0, 256), blacklist)["signal"]
    assert np.isnan(coarse).all()


@pytest.fixture(scope="module")
def splicing(genome, make_store, random, junctions):
    usage = np.where(random.random((SIZE, 5)) < 0.02, random.random((SIZE, 5)), 0).astype(np.float32)
    classes = random.random((SIZE, 4)) < 0.02
    starts = random.integers(1, SIZE - 500, 300)
    rows = {
        (int(start), int(start + width), strand): counts
        for start, width, strand, counts in zip(
            starts,
            random.choice([50, 120, 333], 300),
            random.choice(["+", "-"], 300),
            random.integers(0, 60, (300, 2)),
            strict=True,
        )
    }
    table = junctions([(*key, counts) for key, counts in rows.items()])
    modalities = {
        "splice_site_usage": ("usage", 1, STRANDED, {"chr1": usage}),
        "splice_sites": ("classes", 1, SITES, {"chr1": classes}),
        "splice_junctions": ("junctions", 1, TISSUES, {"chr1": table}),
    }
    return make_store(genome, modalities), usage, classes, rows


@same
@given(here)
def test_usage_and_classes_reverse_as_their_heads_say(splicing, start):
    store, usage, classes, _ = splicing
    low, high = np.clip([start, start + 256], 0, SIZE)
    inside = slice(low - start, high - start)
    forwards, backwards = both(reader("usage", store, "splice_site_usage"), start, 256)
    np.testing.assert_array_equal(forwards["usage"][inside], usage[low:high].astype(np.float16))
    assert np.isnan(forwards["usage"]).sum() == 5 * (256 - (high - low))
    back = turned(tracks_head("splice_site_usage", STRANDED), backwards, 256)
    np.testing.assert_array_equal(back["usage"], forwards["usage"])

    forwards, backwards = both(reader("classes", store, "splice_sites"), start, 256)
    expected = np.zeros((256, 5), bool)
    expected[inside, :4] = classes[low:high]
    expected[inside, 4] = ~classes[low:high].any(axis=1)
    np.testing.assert_array_equal(forwards["classes"], expected)
    five = {"name": [*SITES["name"], "padding"], "strand": [*SITES["strand"], "."]}
    back = turned(tracks_head("splice_sites", five), backwards, 256)
    np.testing.assert_array_equal(back["classes"], expected)


def ascending(positions, counts):
    """The same target with each row of sites ascending again, as targets are and turned predictions are not."""
    order = np.argsort(np.where(positions < 0, 10**9, positions), axis=1, kind="stable")
    half = counts.shape[-1] // 2
    parts = [counts[order[2 * s]][:, order[2 * s + 1], half * s : half * (s + 1)] for s in (0, 1)]
    return np.take_along_axis(positions, order, axis=1), np.concatenate(parts, axis=-1)


@same
@given(here, st.sampled_from([4, 16, 64]))
def test_junctions_join_the_strongest_sites(splicing, start, room):
    store, _, _, rows = splicing
    layout = reader("junctions", store, "splice_junctions", sites=room)
    forwards, backwards = both(layout, start, 1024)
    positions, counts = forwards["splice_site_positions"], forwards["counts"]
    inside = {
        (s - 1 - start, e - start, strand): value
        for (s, e, strand), value in rows.items()
        if start <= s - 1 and e < start + 1024
    }
    for row in range(4):
        own = "+-"[row // 2]
        strength = {}
        for (left, right, strand), value in inside.items():
            if strand == own:
                site = left if (row % 2 == 0) == (own == "+") else right
                strength[site] = strength.get(site, 0) + value.sum()
        best = sorted(strength, key=lambda site: (-strength[site], site))[:room]
        assert positions[row][positions[row] >= 0].tolist() == sorted(best)
        assert (np.diff(positions[row][: len(best)]) > 0).all()
    total = np.zeros_like(counts)
    for (left, right, strand), value in inside.items():
        donor, acceptor = (left, right) if strand == "+" else (right, left)
        first = 2 * (strand == "-")
        places = np.flatnonzero(positions[first] == donor), np.flatnonzero(positions[first + 1] == acceptor)
        if all(map(len, places)):
            total[places[0][0], places[1][0], first : first + 2] = value
    np.testing.assert_array_equal(counts, total)
    names = {"splice_site_positions": "splice_site_positions", "counts": "predictions"}
    own = tracks_head("splice_junctions", TISSUES, sites=room, hidden=4)
    back = turned(own, backwards, 1024, names)
    again = ascending(back["splice_site_positions"], back["counts"])
    np.testing.assert_array_equal(again[0], positions)
    np.testing.assert_array_equal(again[1], counts)
    assert (np.diff(backwards["splice_site_positions"][0][: (positions[2] >= 0).sum()]) > 0).all()


def test_junctions_worked_out_by_hand(genome, make_store, junctions):
    table = junctions(
        [(100, 200, "+", [3, 1]), (100, 300, "+", [0, 2]), (150, 260, "-", [5, 0]), (90, 95, ".", [9, 9])]
    )
    store = make_store(genome, {"splice_junctions": ("junctions", 1, TISSUES, {"chr1": table})})
    columns = ["Chromosome", "Position", "Strand", "Kind"]
    nowhere = SpliceSites(pd.DataFrame([("chr2", 3, "+", "donor")], columns=columns))
    layout = reader("junctions", store, "splice_junctions", sites=3, annotated=nowhere)
    target = layout.target(Interval("chr1", 50, 350))
    # Last and first bases of exons, from the window's start; the junction without a strand is left out.
    expected = [[49, -1, -1], [150, 250, -1], [210, -1, -1], [99, -1, -1]]
    assert target["splice_site_positions"].tolist() == expected
    assert target["counts"][0, 0].tolist() == [3, 1, 5, 0]
    assert target["counts"][0, 1].tolist() == [0, 2, 0, 0]
    assert target["counts"].sum() == 11
    # An intron whose second site is the first base after the window is not in it.
    assert (layout.target(Interval("chr1", 50, 300))["splice_site_positions"][1] == [150, -1, -1]).all()
    known = [("1", 60, "+", "acceptor"), ("1", 61, "+", "acceptor"), ("1", 62, "+", "acceptor"), ("1", 5, "-", "donor")]
    annotated = SpliceSites(pd.DataFrame(known, columns=columns))
    layout = reader("junctions", store, "splice_junctions", sites=3, annotated=annotated)
    target = layout.target(Interval("chr1", 50, 350))
    # Two sites have reads; the first of the annotated ones takes the place that is left.
    assert target["splice_site_positions"][1].tolist() == [10, 150, 250]
    assert target["counts"][0].tolist() == [[0, 0, 5, 0], [3, 1, 0, 0], [0, 2, 0, 0]]
    hidden = Blacklist(regions_table([("chr1", 195, 201, "")]))
    target = layout.target(Interval("chr1", 50, 350), hidden)
    assert np.isnan(target["counts"][:, 1, :2]).all()
    assert np.isnan(target["counts"]).sum() == 3 * 2


@pytest.fixture(scope="module")
def contact_store(genome, make_store, random):
    bins, offsets = -(-SIZE // 2048), 3
    band = random.normal(size=(bins, offsets, 2)).astype(np.float32)
    for offset in range(offsets):
        band[bins - offset :, offset] = np.nan
    return make_store(genome, {"contact_maps": ("contacts", 2048, TISSUES, {"chr1": band})}), band


@same
@given(st.integers(-3000, SIZE + 100), st.booleans())
def test_contacts_are_symmetric_and_on_the_nearest_grid(contact_store, start, padded):
    store, band = contact_store
    bins, offsets, _ = band.shape
    names = ["padding", "brain", "x", "liver"] if padded else ["brain", "liver"]
    columns = {"name": names, "strand": ["."] * len(names)}
    table = track_table(columns)
    slots = [names.index(each) for each in TISSUES["name"]]
    forwards, backwards = both(reader("contacts", store, "contact_maps", table), start, 4 * 2048)
    contacts = forwards["contacts"]
    first = min(range(-3, bins + 3), key=lambda grid: (abs(grid * 2048 - start), grid))
    assert abs(first * 2048 - start) <= 1024
    for i in range(4):
        for j in range(4):
            low, high = first + min(i, j), first + max(i, j)
            known = 0 <= low < bins and high - low < offsets
            value = band[low, high - low].astype(np.float16) if known else np.full(2, np.nan)
            np.testing.assert_array_equal(contacts[i, j, slots], value)
    assert np.isnan(np.delete(contacts, slots, axis=2)).all()
    back = turned(tracks_head("contact_maps", columns), backwards, 4 * 2048)
    np.testing.assert_array_equal(back["contacts"], contacts)


def test_listed_bins_of_maps_are_not_measured(genome, make_store):
    band = np.zeros((4, 4, 2), np.float32)
    store = make_store(genome, {"contact_maps": ("contacts", 2048, TISSUES, {"chr1": band})})
    blacklist = Blacklist(regions_table([("chr1", 2048, 2048 + 1025, ""), ("chr1", 4096, 4096 + 1024, "")]))
    forwards, backwards = both(reader("contacts", store, "contact_maps"), 0, 3 * 2048, blacklist=blacklist)
    expected = [[False, True, False], [True, True, True], [False, True, False]]
    assert np.isnan(forwards["contacts"][..., 0]).tolist() == expected
    assert np.isnan(backwards["contacts"][..., 1]).tolist() == expected
    with pytest.raises(InputError, match="bins of 2048 bp, wanted are 1024 bp"):
        reader("contacts", store, "contact_maps", resolution=1024)


def test_tables_are_merged_and_padded():
    human, other = track_table({**STRANDED, "mean": [1.0] * 5}), track_table({**TISSUES, "tissue": ["l", "b"]})
    merged = merge_tables([human, other, human])
    assert merged["name"].values.tolist() == [*STRANDED["name"], "liver", "brain"]
    assert merged["tissue"].values.tolist() == [""] * 5 + ["l", "b"]
    tables = pad_tables({0: merged, 2: other}, 3)
    assert [table.sizes["track"] for table in tables] == [7, 7, 7]
    assert tables[2]["name"].values.tolist() == ["liver", "brain"] + ["padding"] * 5
    assert set(tables[1]["name"].values) == {"padding"}
    with pytest.raises(InputError, match=r"2 tracks on '\+' but 0 on '-'"):
        find_partners("cage", human.isel(track=[0, 1]))
    with pytest.raises(InputError, match="list both strands in the same order"):
        find_partners("cage", track_table(PAIR))
