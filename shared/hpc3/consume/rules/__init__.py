"""The rules of ``validate``, one module per kind: each takes a subject and yields findings; none does I/O."""
