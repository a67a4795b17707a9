"""Pictures on the device, in batches."""
