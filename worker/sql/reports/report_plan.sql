-- returns the settings as they are now: for this transaction, no plan that would sort the month's rows, which come in order
select set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('enable_seqscan', 'off', true)
