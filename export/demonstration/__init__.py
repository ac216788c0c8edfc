"""The demonstration networks: simulated radiographs in, a bundle and its model card out."""
