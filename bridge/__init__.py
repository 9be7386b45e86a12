"""The bridge between Kratix Promises and Crossplane clusters, and the `kratix-crossplane` command line."""
