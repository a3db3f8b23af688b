-- returns the sequence as of which all memberships were counted; no row where that was done before. One statement sees one
-- state, and the journal's counter is locked until commit, so the count is exact as of the counter
with begun as (
    update tally t set sequence = h.sequence, time = h.time
    from journal_head h
    where t.sequence is null
    returning t.sequence
), counted as (
    insert into segment_counts (segment_key, members)
    select m.segment_key, count(*)
    from memberships m, begun
    where m.included
    group by m.segment_key
)
select sequence from begun
