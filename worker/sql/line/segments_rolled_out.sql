-- returns count of the living segments with a percent above 0, and segments, those of $1 that are among them
select
    count(*) as count,
    coalesce(array_agg(segment) filter (where segment = any($1::text[])), '{}') as segments
from segments
where percent > 0 and deleted_at is null
