"""How we talk to PostgreSQL: sessions, statements and migrations."""
