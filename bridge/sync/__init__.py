"""Reconcilers: each brings one thing in step, knows no other, and is called again when something may have changed."""
