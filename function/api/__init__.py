"""What the function and the bridge share: one module for each kind of object, names, and errors."""
