-- Expiries are instants. Earlier versions wrote infinity for the last microsecond of the year 9999; that is one before it now.
update memberships set expires_at = '9999-12-31 23:59:59.999998+00' where expires_at = 'infinity';
update imports set expires_at = '9999-12-31 23:59:59.999998+00' where expires_at = 'infinity';
