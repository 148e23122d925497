"""From facts and a request to a build recipe: plan (pure), then Dockerfile or Apptainer text."""
