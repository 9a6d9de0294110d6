\set account random(1, :accounts)
\set cost random(1, 2000000)
select billing.place_hold('bench_' || :account, jsonb_build_object('id', 'hold_' || nextval('bench_events'), 'amount', 2000000))->>'id' as id \gset
select billing.settle_hold('bench_' || :account, :id, jsonb_build_object('amount', :cost::bigint));
