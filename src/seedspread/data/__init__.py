"""Readers, caches, loaders, augmentation."""
