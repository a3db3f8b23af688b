-- returns nothing; $1 is what counts as published from now on, and where the next relay goes on after
update relay set published_sequence = $1, published_at = now(), restart_at = $1 where name = 'relay'
