"""One of all workers does it: elections over session locks, and the clock that tells a leader what is due."""
