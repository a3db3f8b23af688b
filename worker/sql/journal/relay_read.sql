-- returns published_sequence and restart_at (where a person told the relay to go on from, null: nobody did)
select published_sequence, restart_at from relay where name = 'relay'
