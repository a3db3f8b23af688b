-- Which topic a position belongs to: Kafka gives a topic that is deleted and created again another id. Null: read by a
-- version that did not know of ids, or of brokers that give none.
alter table positions add column topic_id uuid;
