-- returns id of the journal, a new one, so that no event has the id of one that was published before under its number
update journal_head set id = left(gen_random_uuid()::text, 8) returning id
