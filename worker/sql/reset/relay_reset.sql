-- returns nothing; published_sequence becomes $1, and $2 (null: nothing) is where the next relay goes on from
update relay set published_sequence = $1, published_at = now(), restart_at = $2 where name = 'relay'
