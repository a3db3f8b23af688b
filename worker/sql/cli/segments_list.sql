-- returns at most $6 segments of owner $1 with tag $2 and text $3 in their name or description (null: any), deleted ones too
-- if $4, in the order of $5: name, members or created
select
    s.segment, s.segment_id, s.owner, s.tags, s.percent, s.created_at, s.deleted_at, s.description,
    case when t.sequence is not null then coalesce(c.members, 0) end as members,
    coalesce(d.entered, 0) as entered_today, coalesce(d.exited, 0) as exited_today,
    t.sequence as as_of_sequence
from segments s
cross join tally t
left join segment_counts c using (segment_key)
left join segment_days d on d.segment_key = s.segment_key and d.day = (now() at time zone 'UTC')::date
where ($1::text is null or s.owner = $1)
    and ($2::text is null or $2 = any(s.tags))
    and ($3::text is null or position(lower($3) in lower(s.segment)) > 0 or position(lower($3) in lower(s.description)) > 0)
    and ($4::boolean or s.deleted_at is null)
order by
    case when $5 = 'members' then c.members end desc nulls last,
    case when $5 = 'created' then s.created_at end desc,
    s.segment, s.segment_key
limit $6
