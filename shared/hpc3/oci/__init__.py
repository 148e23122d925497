"""Images where they lie: references, manifests as bytes, and the stores that hold them; knows no HPC word.

``reference`` names an image, ``manifest`` edits bytes without any I/O, ``store`` says what a store can do, and one file
per kind of store does it: ``registry``, ``layout``, ``archive``, ``storage``. ``opening`` picks the one that a
reference asks for.
"""
