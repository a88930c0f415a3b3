"""The official client asks our server in the same process; its tables and ours hold the same scores."""

import numpy as np
import pytest

PLACE = (44_355_804, "C", "T")
SCORERS = ("DNASE", "RNA_SEQ")


@pytest.fixture(scope="module")
def client(genome):
    import grpc
    from ag_scorers.serve.backend import open_backend
    from ag_scorers.serve.server import Server
    from ag_scorers.serve.settings import Settings
    from alphagenome.models import dna_client

    backend = open_backend(genome["fasta"], Settings(port=0), gtf=genome["gtf"])
    with Server(backend) as server:
        options = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(f"127.0.0.1:{server.port}", options=options) as channel:
            yield dna_client.DnaClient(channel=channel)


@pytest.fixture(scope="module")
def theirs(client):
    """What the client makes of our server's answer: an AnnData for each of SCORERS."""
    from alphagenome.data import genome
    from alphagenome.models import dna_client, variant_scorers

    variant = genome.Variant("chr20", *PLACE)
    interval = variant.reference_interval.resize(dna_client.SEQUENCE_LENGTH_16KB)
    recommended = variant_scorers.RECOMMENDED_VARIANT_SCORERS
    return client.score_variant(interval, variant, [recommended[key] for key in SCORERS])


@pytest.fixture(scope="module")
def ours(genome):
    """The same variant scored here: an AnnData for each of SCORERS."""
    from ag_core import Variant
    from ag_data import Call, Fasta, Status
    from ag_scorers import calibrate_result, load_calibration, open_engine, to_anndata

    engine = open_engine(Fasta(genome["fasta"]), gtf=genome["gtf"], scorers=list(SCORERS))
    variant = Variant("chr20", *PLACE)
    calibration = load_calibration("auto", engine)
    results = engine.run([Call(0, 0, "chr20", *PLACE, "", Status.SCORED, variant)])
    made = to_anndata(calibrate_result(result, calibration) for result in results)
    return [made[key] for key in SCORERS]


def test_the_same_scores(theirs, ours):
    for one, other in zip(theirs, ours, strict=True):
        values = np.asarray(other.X)
        # Ours keeps both strands of a gene scorer's tracks apart; the client merges them: what is a number stays.
        if one.shape == other.shape:
            np.testing.assert_allclose(one.X, values, rtol=1e-3, atol=1e-5)
        else:
            assert one.n_obs == other.n_obs
            for row, mine in zip(np.asarray(one.X), values, strict=True):
                np.testing.assert_allclose(np.sort(row), np.sort(mine[~np.isnan(mine)]), rtol=1e-3, atol=1e-5)
        assert np.abs(values[~np.isnan(values)]).max() > 0


def test_tidy_scores(theirs, ours):
    from alphagenome.models import variant_scorers

    table = variant_scorers.tidy_scores([theirs])
    assert set(table["output_type"]) == {"DNASE", "RNA_SEQ"}
    assert set(table["variant_id"].astype(str)) == {"chr20:44355804:C>T"}
    assert "HNF4A" in set(table["gene_name"].dropna())
    dnase = table[table["output_type"] == "DNASE"]
    mine = ours[0].var["name"].tolist()
    assert dnase["track_name"].tolist() == mine
    np.testing.assert_allclose(dnase["raw_score"], np.asarray(ours[0].X)[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(dnase["quantile_score"], ours[0].layers["quantiles"][0], atol=2e-3)


def test_a_file_of_ours_is_an_anndata(ours, tmp_path):
    import anndata

    ours[1].write_h5ad(tmp_path / "scores.h5ad")
    again = anndata.read_h5ad(tmp_path / "scores.h5ad")
    np.testing.assert_array_equal(again.X, ours[1].X)
    assert set(again.obs["gene_name"]) >= {"HNF4A"}


def test_our_prediction_as_their_track_data(genome, client):
    """Made of the arrays and the track table, it is what the client makes of our server's answer."""
    import ag_scorers
    from alphagenome.data import genome as places
    from alphagenome.data import track_data
    from alphagenome.models import dna_client

    region = "chr20:44,353,025-44,369,408"  # 16,384 bp on the grid of windows: 0-based 44,353,024
    found = ag_scorers.predict(region=region, fasta=genome["fasta"], outputs=["dnase"])["dnase"].to_dataset()
    columns = {name: found[name].values for name in ("name", "strand", "biosample_name")}
    interval = places.Interval("chr20", 44_353_024, 44_369_408)
    import pandas as pd

    made = track_data.TrackData(
        found["prediction"].values.astype(np.float32), pd.DataFrame(columns), resolution=1, interval=interval
    )
    asked = client.predict_interval(interval, requested_outputs=[dna_client.OutputType.DNASE], ontology_terms=None)
    assert made.num_tracks == asked.dnase.num_tracks > 5
    assert list(made.names) == list(asked.dnase.names)
    np.testing.assert_allclose(made.values, asked.dnase.values, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(made.change_resolution(128).values.sum(), made.values.sum(), rtol=1e-3)


def test_our_pictures_take_their_track_data(client):
    import matplotlib as mpl
    from ag_core import Interval
    from ag_data.plot import Tracks, plot
    from alphagenome.data import genome as places
    from alphagenome.models import dna_client

    mpl.use("agg")
    interval = places.Interval("chr20", 44_353_024, 44_369_408)
    asked = client.predict_interval(interval, requested_outputs=[dna_client.OutputType.DNASE], ontology_terms=None)
    figure = plot([Tracks(asked.dnase, top=2)], Interval("chr20", 44_355_000, 44_357_000))
    steps = [
        patch.get_data() for axes in figure.axes for patch in axes.patches if isinstance(patch, mpl.patches.StepPatch)
    ]
    assert len(steps) == 2
    largest = max(values[(edges[1:] > 44_355_000) & (edges[:-1] < 44_357_000)].max() for values, edges, _ in steps)
    shown = asked.dnase.values[44_355_000 - interval.start : 44_357_000 - interval.start]
    assert largest == pytest.approx(shown.max(), rel=1e-5)
