"""What a worker says of itself: logs, metrics, its progress, and the pages that show them."""
