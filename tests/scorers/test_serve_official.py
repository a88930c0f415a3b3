"""The unmodified client from PyPI against the server, in an environment of its own.

AG_OFFICIAL_CLIENT_PYTHON names an interpreter that has `alphagenome` 0.10.0 (on Python 3.11 with `pandas<3`).
"""

import inspect
import os
import pathlib
import subprocess
import sys

import pytest

DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"


def drive(port, secure_port, roots):
    """Runs under the other interpreter, as text, so it imports what it needs."""
    import os

    if roots:
        os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = roots
    import grpc
    import matplotlib as mpl
    import numpy as np
    from alphagenome.data import genome
    from alphagenome.interpretation import ism
    from alphagenome.models import dna_client, interval_scorers, variant_scorers
    from alphagenome.visualization import plot_components

    mpl.use("agg")
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
    client = dna_client.DnaClient(channel=channel)
    outputs, organism = dna_client.OutputType, dna_client.Organism.HOMO_SAPIENS
    seen = []

    metadata = client.output_metadata(organism)
    assert len(metadata.chip_tf) > 100
    assert {"name", "strand", "biosample_name", "transcription_factor", "nonzero_mean"} <= set(metadata.chip_tf)
    assert metadata.atac is None
    assert len(client.output_metadata(dna_client.Organism.MUS_MUSCULUS).cage)
    seen.append("output_metadata")

    variant = genome.Variant("chr20", 44355804, "C", "T")
    interval = variant.reference_interval.resize(dna_client.SEQUENCE_LENGTH_16KB)
    wanted = [outputs.CHIP_TF, outputs.CAGE, outputs.SPLICE_SITES, outputs.CONTACT_MAPS]
    one = client.predict_interval(interval, requested_outputs=wanted, ontology_terms=None)
    assert one.cage.values.shape == (16384, len(one.cage.metadata))
    assert one.chip_tf.values.shape[0] == 128
    assert one.chip_tf.resolution == 128
    assert one.cage.interval == interval
    assert one.contact_maps.values.shape[:2] == (8, 8)
    assert np.isfinite(one.cage.values).all()
    assert one.splice_sites.num_tracks == 4
    assert one.cage.filter_to_positive_strand().num_tracks * 2 == one.cage.num_tracks
    minus = genome.Interval(interval.chromosome, interval.start, interval.end, "-")
    turned = client.predict_interval(minus, requested_outputs=[outputs.CAGE], ontology_terms=None)
    assert turned.cage.values.shape == one.cage.values.shape
    seen.append("predict_interval")

    none = client.predict_interval(interval, requested_outputs=wanted, ontology_terms=["UBERON:0000955"])
    assert none.cage.num_tracks == 0
    assert none.splice_sites.num_tracks == 4
    seen.append("ontology terms")

    bases = "ACGTN" * 3276 + "ACGT"
    other = client.predict_sequence(bases, requested_outputs=[outputs.DNASE], ontology_terms=None, interval=interval)
    assert other.dnase.interval == interval
    mouse = client.predict_sequence(
        bases, organism=dna_client.Organism.MUS_MUSCULUS, requested_outputs=[outputs.CAGE], ontology_terms=None
    )
    assert mouse.cage.values.shape[0] == len(bases)
    many = client.predict_intervals(
        [interval, interval.shift(128)], requested_outputs=[outputs.CAGE], ontology_terms=None, progress_bar=False
    )
    np.testing.assert_allclose(many[0].cage.values, one.cage.values, rtol=1e-3, atol=1e-4)
    seen.append("predict_sequence, predict_intervals")

    both = client.predict_variant(
        interval, variant, requested_outputs=[outputs.CAGE, outputs.CHIP_TF], ontology_terms=None
    )
    assert both.reference.cage.values.shape == both.alternate.cage.values.shape
    assert np.abs(both.reference.chip_tf.values - both.alternate.chip_tf.values).max() > 0
    seen.append("predict_variant")

    figure = plot_components.plot(
        [
            plot_components.OverlaidTracks(
                {"REF": both.reference.cage[:, :2], "ALT": both.alternate.cage[:, :2]}, colors=None
            ),
            plot_components.Tracks(one.chip_tf[:, :2]),
            plot_components.ContactMaps(one.contact_maps),
        ],
        interval=interval.resize(4096),
        annotations=[plot_components.VariantAnnotation([variant])],
    )
    assert figure is not None
    seen.append("plot_components")

    recommended = variant_scorers.RECOMMENDED_VARIANT_SCORERS
    scores = client.score_variant(interval, variant)
    assert len(scores) == len(recommended) == 19
    by_key = dict(zip(recommended, scores, strict=True))
    for key, one_score in by_key.items():
        assert one_score.uns["variant"] == variant, key
        assert one_score.uns["variant_scorer"] == recommended[key], key
    assert by_key["CHIP_TF"].X.shape == (1, len(metadata.chip_tf))
    assert by_key["ATAC"].X.shape == (1, 0)
    quantiles = by_key["CHIP_TF"].layers["quantiles"]
    assert quantiles.shape == by_key["CHIP_TF"].X.shape
    assert np.abs(quantiles).max() <= 1
    genes = by_key["SPLICE_SITES"]
    assert len(genes) >= 1
    assert {"gene_id", "strand", "gene_name"} <= set(genes.obs)
    assert (genes.var["strand"] == ".").all()
    assert np.isfinite(genes.X).all()
    assert "HNF4A" in set(genes.obs["gene_name"])
    both_strands = client.score_variant(
        interval, variant, [recommended["SPLICE_SITES"]], merge_stranded_gene_tracks=False
    )
    assert both_strands[0].n_vars == 2 * genes.n_vars
    assert np.isnan(both_strands[0].X).any()
    tidy = variant_scorers.tidy_scores([scores])
    assert {"raw_score", "quantile_score", "track_name", "gene_id"} <= set(tidy)
    seen.append("score_variant with quantiles, merged strands, tidy_scores")

    more = [variant, genome.Variant("chr20", 44355900, "A", "ATT"), genome.Variant("chr20", 44356000, "ACG", "A")]
    several = client.score_variants(interval, more, [recommended["DNASE"], recommended["CAGE"]], progress_bar=False)
    assert [len(each) for each in several] == [2, 2, 2]
    np.testing.assert_allclose(several[0][0].X, by_key["DNASE"].X, rtol=1e-3, atol=1e-4)
    seen.append("score_variants")

    of_interval = client.score_interval(
        interval,
        [
            interval_scorers.GeneMaskScorer(
                requested_output=outputs.CAGE,
                width=10001,
                aggregation_type=interval_scorers.IntervalAggregationType.MEAN,
            )
        ],
    )
    assert len(of_interval) == 1
    assert of_interval[0].uns["interval"] == interval
    assert len(of_interval[0]) >= 1
    seen.append("score_interval")

    span = genome.Interval("chr20", 44355800, 44355812)
    mutated = client.score_ism_variants(interval, span, [recommended["DNASE"]], progress_bar=False)
    assert len(mutated) == 3 * span.width
    matrix = ism.ism_matrix([float(each[0].X.sum()) for each in mutated], [each[0].uns["variant"] for each in mutated])
    assert matrix.shape == (span.width, 4)
    on_alt = client.score_ism_variants(
        interval, span.resize(6), [recommended["DNASE"]], interval_variant=variant, progress_bar=False
    )
    assert len(on_alt) == 18
    seen.append("score_ism_variants")

    codes = []
    for wrong in (
        lambda: client.predict_interval(
            genome.Interval("chr99", 0, 16384), requested_outputs=wanted, ontology_terms=None
        ),
        lambda: client.score_variant(interval, genome.Variant("chr20", 5, "A", "C")),
    ):
        try:
            wrong()
        except grpc.RpcError as error:
            codes.append(error.code())
    assert codes == [grpc.StatusCode.INVALID_ARGUMENT] * 2
    seen.append("errors")

    if secure_port:
        secure = dna_client.create("a-key", address=f"localhost:{secure_port}", timeout=20)
        assert len(secure.output_metadata(organism).chip_tf) == len(metadata.chip_tf)
        try:
            dna_client.create("other", address=f"localhost:{secure_port}", timeout=20).output_metadata(organism)
        except grpc.RpcError as error:
            codes.append(error.code())
        assert codes[2:] == [grpc.StatusCode.UNAUTHENTICATED]
        seen.append("TLS and keys")
    print("\n".join(seen))


@pytest.mark.slow
def test_the_official_client(tmp_path):
    python = os.environ.get("AG_OFFICIAL_CLIENT_PYTHON")
    if not python:
        pytest.fail("set AG_OFFICIAL_CLIENT_PYTHON to an interpreter that has alphagenome==0.10.0 (docs/serving.md)")
    from ag_scorers.serve.backend import open_backend
    from ag_scorers.serve.server import Server
    from ag_scorers.serve.settings import Settings

    gtf = DATA / "HNF4A.hg38.gtf.gz"
    key, chain, keys = tmp_path / "key.pem", tmp_path / "chain.pem", tmp_path / "keys"
    keys.write_text("somebody a-key\n")
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    make += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(chain)]
    subprocess.run(make, check=True, capture_output=True)
    settings = Settings(port=0)
    plain = open_backend(DATA / "HNF4A.hg38.fa.gz", settings, gtf=gtf)
    secure = open_backend(DATA / "HNF4A.hg38.fa.gz", settings, gtf=gtf)
    with Server(plain) as server, Server(secure, keys=keys, certificate=(key, chain)) as closed:
        call = f"{inspect.getsource(drive)}\ndrive({server.port}, {closed.port}, {str(chain)!r})\n"
        done = subprocess.run([python, "-c", call], capture_output=True, text=True, timeout=1500, check=False)
    print(done.stdout, done.stderr, file=sys.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "TLS and keys" in done.stdout
