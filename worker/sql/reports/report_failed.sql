-- returns command_id, command_source, correlation_id and traceparent of those who had asked and were not told of this
-- failure yet, and a row of nulls where nobody has asked and it is another failure than the last one
with last as (
    select error_code from reports where month = $1
), report as (
    update reports
    set failures = failures + 1, error_code = $3, error = $4, failed_at = $2, is_permanent = $5, retry_at = $6,
        link = coalesce($7, link)
    where month = $1
    returning month, attempts
), attempt as (
    update report_attempts a set ended_at = $2, outcome = 'failed', error_code = $3, error = $4
    from report r where a.month = r.month and a.attempt = r.attempts
), told as (
    update report_requests set told_code = $3
    where month = $1 and not $5 and told_code is distinct from $3
    returning command_id, command_source, correlation_id, traceparent
), answered as (
    delete from report_requests where month = $1 and $5
    returning command_id, command_source, correlation_id, traceparent, told_code
)
select * from told
union all
select command_id, command_source, correlation_id, traceparent from answered where told_code is distinct from $3
union all
select null, null, null, null from last
where error_code is distinct from $3 and not exists (select from report_requests where month = $1)
