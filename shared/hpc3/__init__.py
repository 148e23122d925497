"""HPC Container Conformance: images that say, truthfully, what is in them.

The library behind the ``hpc3`` command line. It reads what Spack or EasyBuild know of a build (``sources``),
holds it as facts with evidence (``facts``), and turns facts into annotations, a recipe and an SBOM. It imports
neither Spack nor EasyBuild: their plug-ins import it.
"""

__version__ = "0.1.0"
