-- returns command_id, command_source, correlation_id and traceparent of those who had asked for a month of which nothing
-- is left; what is known of its report stays as it is
with attempt as (
    update report_attempts a set ended_at = $2, outcome = 'failed', error_code = $3, error = $4
    from reports r where r.month = $1 and a.month = r.month and a.attempt = r.attempts
)
delete from report_requests where month = $1
returning command_id, command_source, correlation_id, traceparent
