"""Facts read from files: ELF, os-release, package databases, GPU code."""
