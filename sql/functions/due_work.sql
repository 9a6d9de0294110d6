-- What stayed unfinished and is due now, oldest first, up to p_limit of each kind; index scans only. Callers: service.
create or replace function billing.due_work(p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object(
    'events', coalesce((select jsonb_agg(id) from (select id from billing.stripe_events
        where state = 'received' and next_attempt_at <= now() order by next_attempt_at limit p_limit) e), '[]'),
    'accounts', coalesce((select jsonb_agg(account_id) from (select account_id from billing.credit_balances
        where topup_due_at <= now() and topup_due_at < 'infinity' order by topup_due_at limit p_limit) b), '[]'),
    'topups', coalesce((select jsonb_agg(id) from (select id from billing.topups
        where dead_at is null and next_attempt_at <= now()
        order by next_attempt_at limit p_limit) t), '[]'),
    'payments', coalesce((select jsonb_agg(id) from (select id from billing.payments
        where next_check_at <= now() and next_check_at < 'infinity' order by next_check_at limit p_limit) p), '[]'),
    'notices', coalesce((select jsonb_agg(id) from (select id from billing.notice_deliveries
        where state = 'pending' and next_attempt_at <= now() order by next_attempt_at limit p_limit) o), '[]'),
    'reconciliations', coalesce((select jsonb_agg(id) from (select id from billing.reconciliations
        where state = 'running' and lease_until <= now() order by lease_until limit p_limit) r), '[]'));
$$;
