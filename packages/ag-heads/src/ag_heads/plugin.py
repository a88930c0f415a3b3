"""What ag-heads offers to the registry: seven genome-track modalities and the embedded model."""

from ag_core.hookspecs import Plugin, hookimpl

_TARGET = "ag_heads.tracks:GenomeTracksHead"


def _head(modality: str, summary: str, resolutions: tuple[int, ...], **options) -> Plugin:
    return Plugin(modality, _TARGET, summary, {"modality": modality, "resolutions": resolutions, **options})


@hookimpl
def ag_heads():
    return [
        _head("atac", "ATAC-seq insertions", (1, 128)),
        _head("dnase", "DNase-seq insertions", (1, 128), shift_reverse=True),
        _head("procap", "PRO-cap 5' ends of nascent transcripts, stranded", (1, 128)),
        _head("cage", "CAGE 5' ends of transcripts, stranded", (1, 128)),
        _head("rna_seq", "RNA-seq coverage, stranded where the assay is", (1, 128), squash=True),
        _head("chip_tf", "transcription-factor ChIP-seq, fold change over control", (128,)),
        _head("chip_histone", "histone ChIP-seq, fold change over control", (128,)),
    ]


@hookimpl
def ag_models():
    return [Plugin("mini", "ag_heads.weights:mini", "embedded model: small, offline, provisional")]
