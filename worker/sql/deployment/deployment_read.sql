-- returns cluster_id, topic_prefix and group_id of the deployment that the database belongs to; no row: of none yet
select cluster_id, topic_prefix, group_id from deployment
