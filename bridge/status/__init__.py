"""How the platform and its Crossplane clusters are, for people: `kratix-crossplane status`, and the bridge's page."""
