"""Annotating images that exist: what shall be on them, what only they know, and one step that writes it.

``wanted`` reads what is asked for, ``merge`` decides what stays (pure), ``completion`` learns from the image,
``attach`` makes referrers, ``image`` decides for one image and ``plan`` for all that a reference means, without
writing; ``batch`` does many, ``variants`` puts an index over some.

Cost follows the metadata: annotations from a file cost three requests and no blob; labels cost the config blob; only
what must be learned from the root file system reads layers.
"""
