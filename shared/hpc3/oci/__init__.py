"""Bytes of images: references, manifests and stores; knows no HPC word."""
