"""Kafka and PostgreSQL of one's own, without Docker and without root: for the demo, the tests and the benchmarks."""
