"""What each engine must be told so that an image uses a host: one module per engine, all from the same wiring.

Nothing of an image reaches a hook's path, a shell or a regular expression: values are chosen from lists of this
program or quoted by the format's own rules.
"""
