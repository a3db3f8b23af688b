-- returns command_id, command_source, correlation_id and traceparent of the requests $8, which are answered by this edition
-- of the month's report, made at $2 and stored at $10; it is partial if $9
with report as (
    update reports
    set published_at = case when $9 then published_at else $10 end, made_at = $2, is_partial = $9,
        link = $3, page_link = $4, rows = $5, bytes = $6, sha256 = $7,
        failures = 0, error_code = null, error = null, failed_at = null, is_permanent = false, retry_at = null
    where month = $1
    returning month, attempts
), attempt as (
    update report_attempts a set ended_at = $10, outcome = 'published', rows = $5, rows_total = $5, bytes = $6
    from report r where a.month = r.month and a.attempt = r.attempts
)
delete from report_requests where request_key = any($8::bigint[])
returning command_id, command_source, correlation_id, traceparent
