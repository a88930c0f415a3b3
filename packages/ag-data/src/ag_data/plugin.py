"""What ag-data offers to the registry: file formats that become tracks, and commands."""

from ag_core.hookspecs import Plugin, hookimpl


@hookimpl
def ag_sources():
    return [
        # Signal along the genome
        Plugin("bigwig", "ag_data.sources.bigwig:BigWigSource", "bigWig"),
        Plugin("bedgraph", "ag_data.sources.bedgraph:BedGraphSource", "bedGraph, text or gzip or bgzip with tabix"),
        Plugin("peaks", "ag_data.sources.peaks:PeaksSource", "BED, narrowPeak, broadPeak or a table of peaks"),
        Plugin("bam", "ag_data.sources.bam:BamSource", "BAM or CRAM: coverage, 5' ends or cut sites"),
        Plugin("fragments", "ag_data.sources.fragments:FragmentsSource", "fragments, BEDPE or tagAlign"),
        Plugin("borzoi", "ag_data.sources.borzoi:BorzoiSource", "TFRecord shards of baskerville and Borzoi"),
        Plugin("alphagenome", "ag_data.sources.alphagenome:AlphaGenomeSource", "AlphaGenome's TFRecord bundles"),
        # Splicing
        Plugin("junctions", "ag_data.sources.junctions:JunctionsSource", "STAR SJ.out.tab or regtools BED12"),
        Plugin("exon_usage", "ag_data.sources.exon_usage:ExonUsageSource", "splice-site usage from tables of exon PSI"),
        Plugin("splice_sites", "ag_data.sources.splice_sites:SpliceSitesSource", "splice sites of an annotation (GTF)"),
        # Contact maps
        Plugin("cool", "ag_data.sources.cool:CoolSource", "contact maps: .cool and .mcool"),
        Plugin("hic", "ag_data.sources.hic:HicSource", "contact maps: .hic"),
        Plugin("pixels", "ag_data.sources.pixels:PixelsSource", "contact maps: tables of bin pairs and counts"),
    ]


@hookimpl
def ag_commands():
    return [
        Plugin("genome", "ag_data.commands:genome", "keep genomes as codes, make tables of splice and polyA sites"),
        Plugin("tracks", "ag_data.tracks_commands:tracks", "make, check, describe and export track stores"),
        Plugin("vcf", "ag_data.vcf_commands:vcf", "look over variant files before they are scored, and repair them"),
    ]
