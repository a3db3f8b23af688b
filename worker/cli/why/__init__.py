"""`why`: why a user is in a segment or not, told from the tables and the journal."""
