-- returns the cluster_id, topic_prefix and group_id that the database belonged to; from now on it is the given ones'
with before as (
    select cluster_id, topic_prefix, group_id from deployment
), taken as (
    insert into deployment (cluster_id, topic_prefix, group_id) values ($1, $2, $3)
    on conflict (singleton) do update
    set cluster_id = excluded.cluster_id, topic_prefix = excluded.topic_prefix, group_id = excluded.group_id
)
select cluster_id, topic_prefix, group_id from before
