"""In-silico mutagenesis: every change of a span scored against the sequence as it is."""
