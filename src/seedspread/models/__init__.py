"""Networks, frozen backbones, heads."""
