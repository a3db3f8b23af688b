-- returns import, segment and segment_key of those among the imports given that had not ended, and have now
with given as materialized (
    select i.import_key from imports i
    where i.import = any($1::text[]) and i.state in ('open', 'applying', 'leaving')
    order by i.import_key
    for update
), ended as (
    update imports i set state = 'failed', failure = 'cancelled', ended_at = $2
    from given g where i.import_key = g.import_key
    returning i.import, i.segment_key
)
select e.import, s.segment, s.segment_key from ended e join segments s using (segment_key)
