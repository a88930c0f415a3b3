"""What ag-heads offers to the registry: the eleven modalities, the embedded model, the way to the published one."""

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
        Plugin("contact_maps", "ag_heads.contacts:ContactMapsHead", "Hi-C and Micro-C contacts over distance"),
        Plugin("splice_sites", "ag_heads.splicing:SpliceSitesHead", "donors and acceptors on either strand"),
        Plugin("splice_site_usage", "ag_heads.splicing:SpliceSiteUsageHead", "how often a tissue uses a splice site"),
        Plugin("splice_junctions", "ag_heads.junctions:SpliceJunctionsHead", "reads joining a donor to an acceptor"),
    ]


@hookimpl
def ag_models():
    return [Plugin("mini", "ag_heads.weights:mini", "embedded model: small, offline, eight outputs")]


@hookimpl
def ag_commands():
    return [
        Plugin("model import", "ag_heads.commands:import_model", "make a checkpoint of the published weights"),
        Plugin("train", "ag_heads.training_commands:train", "train a model from a YAML file"),
        Plugin("distil", "ag_heads.training_commands:distil", "train a student on what other models predict"),
        Plugin("finetune", "ag_heads.training_commands:finetune", "new heads for your tracks on a trained network"),
        Plugin("model average", "ag_heads.commands:average_models", "the mean of the weights of several models"),
        Plugin("model apply", "ag_heads.commands:apply_model", "make a model of a delta and its base"),
        Plugin("model export", "ag_heads.commands:export_model", "write a checkpoint in the published layout"),
    ]
