"""The components that come with bnnbench, installed through the same entry points as anybody's."""
