"""Spack's side of hpc3: the only package that imports Spack."""
