"""The models, a file per family, in the order of the chapters."""
