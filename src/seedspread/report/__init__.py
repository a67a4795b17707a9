"""Findings, words, figures, tables, pages, TensorBoard."""
