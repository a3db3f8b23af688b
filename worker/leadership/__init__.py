"""Work that one of all workers does: election by session locks, and the clock that tells a leader when to look."""
