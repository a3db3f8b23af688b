-- returns user_id, segment (the names that came last, null where there is none)
select
    (select user_id from users order by user_key desc limit 1) as user_id,
    (select segment from segments order by segment_key desc limit 1) as segment
