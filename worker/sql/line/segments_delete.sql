-- returns segment_key, segment and segment_id of those that were deleted; their memberships are queued to be ended
with gone as (
    update segments set deleted_at = $2, updated_at = $2
    where segment = any($1::text[]) and deleted_at is null
    returning segment_key, segment, segment_id
), queued as (
    insert into deletions (segment_key, deleted_at) select segment_key, $2 from gone
), stopped as (
    delete from rollouts r using gone g where r.segment_key = g.segment_key
)
select segment_key, segment, segment_id from gone
