"""How we talk to PostgreSQL: what a connection string means, the one way to connect, sessions and migrations."""
