"""What is read from an image: validation, verification, verdicts, exports; never sees sources or recipes."""
