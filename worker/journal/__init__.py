"""The journal of all changes: what is written into it, and the relay that publishes it."""
