"""What the worker is measured beside."""
