-- returns nothing; these months are to be reported as commands have asked, also those that wait after a failure
with wanted as (
    insert into report_requests (month, requested_at, command_id, command_source, correlation_id, traceparent)
    select x.month, $6, x.command_id, x.command_source, x.correlation_id, x.traceparent
    from unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::text[]) with ordinality
        as x (month, command_id, command_source, correlation_id, traceparent, n)
    order by x.n
)
update reports set retry_at = null where month = any($1::date[])
