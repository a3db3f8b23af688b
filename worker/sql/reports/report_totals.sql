-- returns rows of kind total, day, reason, segment (the $3 with most changes) and others (all other segments in one):
-- entered, exited, renewed (counts), active (members at $2), segments (count), and day, reason or segment, segment_id and
-- is_deleted; of the journal from $1 to before $2
with packed as ( -- first by what most rows have in common: taking the arrays apart is what costs
    select entered, exited, renewed, (j.time at time zone 'UTC')::date as day, j.reason, count(*) as times
    from journal j
    where j.type = 'membership.changed' and j.time >= $1 and j.time < $2
    group by 1, 2, 3, 4, 5
), cell as materialized (
    select x.segment_key, p.day, p.reason,
        coalesce(sum(p.times) filter (where x.kind = 'e'), 0) as entered,
        coalesce(sum(p.times) filter (where x.kind = 'x'), 0) as exited,
        coalesce(sum(p.times) filter (where x.kind = 'r'), 0) as renewed
    from packed p
    cross join lateral (
        select unnest(p.entered) as segment_key, 'e' as kind
        union all select unnest(p.exited), 'x'
        union all select unnest(p.renewed), 'r'
    ) x
    group by 1, 2, 3
), member as (
    select segment_key, count(*) as members from memberships where included group by segment_key
), later as (
    select x.segment_key, sum(x.change) as change
    from (
        select entered, exited, count(*) as times from journal j
        where j.type = 'membership.changed' and j.time >= $2
        group by 1, 2
    ) p
    cross join lateral (
        select unnest(p.entered) as segment_key, p.times as change
        union all select unnest(p.exited), -p.times
    ) x
    group by 1
), flow as (
    select segment_key, sum(entered) as entered, sum(exited) as exited, sum(renewed) as renewed
    from cell group by segment_key
), segment as (
    select s.segment, s.segment_id, s.is_deleted,
        coalesce(f.entered, 0) as entered, coalesce(f.exited, 0) as exited, coalesce(f.renewed, 0) as renewed,
        case when s.is_deleted then 0 else coalesce(m.members, 0) - coalesce(l.change, 0) end as active,
        row_number() over (
            order by coalesce(f.entered, 0) + coalesce(f.exited, 0) + coalesce(f.renewed, 0) desc,
                coalesce(m.members, 0) desc, s.segment, s.segment_key
        ) as n
    from (
        select segment_key, segment, segment_id, created_at, coalesce(deleted_at < $2, false) as is_deleted from segments
    ) s
    left join flow f using (segment_key)
    left join member m using (segment_key)
    left join later l using (segment_key)
    where f.segment_key is not null or (s.created_at < $2 and not s.is_deleted and m.members is not null)
)
select 'total' as kind, null::date as day, null::text as reason, null as segment, null::uuid as segment_id,
    false as is_deleted, count(*) as segments, coalesce(sum(entered), 0)::bigint as entered,
    coalesce(sum(exited), 0)::bigint as exited, coalesce(sum(renewed), 0)::bigint as renewed,
    coalesce(sum(active), 0)::bigint as active
from segment
union all
select 'day', day, null, null, null, false, 0, sum(entered)::bigint, sum(exited)::bigint, sum(renewed)::bigint, 0
from cell group by day
union all
select 'reason', null, reason::text, null, null, false, 0, sum(entered)::bigint, sum(exited)::bigint,
    sum(renewed)::bigint, 0
from cell group by reason
union all
select 'segment', null, null, segment, segment_id, is_deleted, 1, entered::bigint, exited::bigint, renewed::bigint,
    active::bigint
from segment where n <= $3
union all
select 'others', null, null, null, null, false, count(*), sum(entered)::bigint, sum(exited)::bigint,
    sum(renewed)::bigint, sum(active)::bigint
from segment where n > $3 having count(*) > 0
order by 1, 2, 3, 8 desc, 4
