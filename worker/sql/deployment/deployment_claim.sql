-- returns the cluster_id, topic_prefix and group_id that this database belongs to, noting the given ones if none yet;
-- nothing where another transaction noted its own while this one waited
with mine as (
    insert into deployment (cluster_id, topic_prefix, group_id) values ($1, $2, $3)
    on conflict (singleton) do nothing
    returning cluster_id, topic_prefix, group_id
)
select cluster_id, topic_prefix, group_id from mine
union all
select cluster_id, topic_prefix, group_id from deployment
limit 1
