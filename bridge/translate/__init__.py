"""What the bridge makes of Promises, Destinations and XRDs: pure functions, plain values in and out."""
