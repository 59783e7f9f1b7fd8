"""Texts: the terms of the search and its queries, snippets, and where a text may be cut."""
