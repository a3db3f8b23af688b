"""What a worker tells about itself: logs, metrics, its progress, and the HTTP pages that show them."""
