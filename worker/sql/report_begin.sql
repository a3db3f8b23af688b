-- returns attempt, file_id and page_id (null: none in the storage $3 yet) of the month's report, of which a new attempt
-- has begun, and request_keys of those who wait for it
with report as (
    insert into reports as r (month, attempts, storage) values ($1, 1, $3)
    on conflict (month) do update
    set attempts = r.attempts + 1,
        file_id = case when r.storage = excluded.storage then r.file_id end,
        page_id = case when r.storage = excluded.storage then r.page_id end,
        storage = excluded.storage
    returning month, attempts, storage, file_id, page_id
), attempt as (
    insert into report_attempts (month, attempt, began_at, storage)
    select month, attempts, $2, storage from report
)
select attempts as attempt, file_id, page_id,
    array(select request_key from report_requests where month = $1) as request_keys
from report
