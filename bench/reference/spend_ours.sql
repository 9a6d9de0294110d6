\set n random(1, :accounts)
select billing.spend_credits('bench_' || :n, jsonb_build_object('id', 'evt_' || nextval('bench_events'), 'action', 'message'));
