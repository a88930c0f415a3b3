"""Which way a gene acts on a trait: credible sets, eQTLs and signs."""
