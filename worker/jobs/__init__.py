"""What runs by itself: one process at a time, in small transactions, with its progress in the database."""
