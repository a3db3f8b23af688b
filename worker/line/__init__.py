"""The way of a command from a record on Kafka to a committed transaction, and the answers to queries."""
