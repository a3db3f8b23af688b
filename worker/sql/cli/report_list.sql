-- returns every month's report, newest first, with its last attempt and the number of those who wait for it
select m.month, r.made_at, r.published_at, r.is_partial, r.rows, r.bytes, r.link, r.page_link, r.storage, r.attempts,
    r.failures, r.error_code, r.error, r.is_permanent, r.retry_at, r.journal_dropped_at, a.began_at, a.ended_at,
    (select count(*) from report_requests q where q.month = m.month) as requests
from (select month from reports union select month from report_requests) m
left join reports r using (month)
left join report_attempts a on a.month = r.month and a.attempt = r.attempts
order by m.month desc
