"""Pools that run jobs: in the calling process, in worker processes, or on a Dask cluster."""
