-- returns the lines of the report of the journal from $1 to before $2, in its order; names are looked up one by one, as
-- joining in bulk would give up that order
select
    spreadsheet_safe(j.user_id) as user_id,
    s.segment,
    case
        when x.n <= coalesce(cardinality(j.entered), 0) then 'entered'
        when x.n <= coalesce(cardinality(j.entered), 0) + coalesce(cardinality(j.renewed), 0) then 'renewed'
        else 'exited'
    end as operation,
    j.reason,
    utc_text(j.time) as time,
    utc_text(x.expires_at) as expires_at,
    spreadsheet_safe(j.command_id) as command_id
from journal j
cross join lateral unnest(
    coalesce(j.entered, '{}') || coalesce(j.renewed, '{}') || coalesce(j.exited, '{}'), j.expires_at
) with ordinality as x (segment_key, expires_at, n)
join segments s on s.segment_key = x.segment_key
where j.type = 'membership.changed' and j.time >= $1 and j.time < $2
order by j.sequence, x.n
