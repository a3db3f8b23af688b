"""The page that sums a month up, drawn in a child process."""
