-- returns one row: percents, how many segments a user who is registered now may fall into
select count(*) as percents from segments where percent > 0 and deleted_at is null
