-- returns import_key, state, mode and registers of the oldest import that is to be applied; no row: none
select import_key, state::text, mode::text, registers from imports
where not is_cleared and state in ('applying', 'leaving')
order by committed_at, import_key
limit 1
