-- returns origin_key and origin of each
select origin_key, origin from origins order by origin_key
