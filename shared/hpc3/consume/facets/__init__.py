"""One module per facet; each answers one question about an image and a host with judgements."""
