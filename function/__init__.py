"""function-kratix: a Crossplane composition function that runs Kratix Promise logic."""
