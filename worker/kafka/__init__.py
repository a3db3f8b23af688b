"""How we talk to Kafka: clients and topics."""
