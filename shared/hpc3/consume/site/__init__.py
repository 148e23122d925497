"""A static website over a catalog: no server, no request to anywhere else."""
