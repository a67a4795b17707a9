"""Studies: records on disk and what they say. Nothing here imports Lightning or trains."""
