"""From one side's API to the other's: pure functions over plain manifests."""
