-- returns nothing; notes how far the relay has published
update relay set published_sequence = $1, published_at = now(), restart_at = null where name = 'relay'
