"""The containers of this project in Kratix pipelines: request in, documents out."""
