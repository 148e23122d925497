"""The neighbours' formats: one module each, from the same image; what a format cannot say is left out, not bent."""
