"""What is written from the code and its data: reference pages, the manual page, completions of shells.

The files are committed, so that a forge shows them and a package holds them without a build step; a test compares
them with what this package writes, and ``pytest --rerecord`` writes them anew.
"""
