"""What users of a diffusion server would feel: load over HTTP, measured from the moment each request was due."""
