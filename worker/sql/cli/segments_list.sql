-- returns at most $6 segments of owner $1 with tag $2 and text $3 in their name or description, whatever its case (null: any),
-- deleted ones too if $4, in the order of $5: name, members or created
select
    segment, segment_id, owner, tags, percent, created_at, deleted_at, description, members, entered_today, exited_today,
    as_of_sequence
from segments_counted
where ($1::text is null or owner = $1)
    and ($2::text is null or $2 = any(tags))
    and (
        $3::text is null
        or position(casefold($3 collate "pg_unicode_fast") in casefold(segment collate "pg_unicode_fast")) > 0
        or position(casefold($3 collate "pg_unicode_fast") in casefold(description collate "pg_unicode_fast")) > 0
    )
    and ($4::boolean or deleted_at is null)
order by
    case when $5 = 'members' then members end desc nulls last,
    case when $5 = 'created' then created_at end desc,
    segment, segment_key
limit $6
