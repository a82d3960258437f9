"""Questions that are asked of a trace, each answered by a table, sentences and a figure."""
