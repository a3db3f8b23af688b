-- returns attempt, file_id and page_id (null: none in the storage $3 yet) of the month's report, of which a new attempt
-- has begun, and request_keys of those who wait for it; what failed in another storage counts no more
with report as (
    insert into reports as r (month, attempts, storage) values ($1, 1, $3)
    on conflict (month) do update
    set attempts = r.attempts + 1,
        storage = excluded.storage,
        is_permanent = r.is_permanent and r.storage = excluded.storage,
        failures = case when r.storage = excluded.storage then r.failures else 0 end
    returning month, attempts, storage
), cut_off as (
    update report_attempts a set ended_at = $2, outcome = 'interrupted'
    from report r where a.month = r.month and a.attempt < r.attempts and a.ended_at is null
), attempt as (
    insert into report_attempts (month, attempt, began_at, storage)
    select month, attempts, $2, storage from report
)
select r.attempts as attempt, d.file_id, d.page_id,
    array(select request_key from report_requests where month = $1) as request_keys
from report r left join report_documents d on d.month = r.month and d.storage = r.storage
