"""Where a request goes, as a picture: of files alone, for `kratix-crossplane graph`."""
