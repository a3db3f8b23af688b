"""Speed, latency and memory of the line, beside a peer and a limit of the same run."""
