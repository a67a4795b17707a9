"""Logs that other programs wrote, read as runs: a file for each format, and what turns runs into a study."""
