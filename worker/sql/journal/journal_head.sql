-- returns sequence (the last number given out), time (of that row) and id (of this journal)
select sequence, time, id from journal_head
