"""Kafka Streams reading the topic of states."""
