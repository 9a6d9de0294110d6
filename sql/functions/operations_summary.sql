-- Counts and ages that operators watch: events, top-ups, payments, notices, holds, parked rows. Callers: service.
create or replace function billing.operations_summary()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object(
    'events_waiting', (select count(*) from billing.stripe_events where state = 'received'),
    'events_oldest_seconds', (select coalesce(floor(extract(epoch from now() - min(received_at))), 0)
                                from billing.stripe_events where state = 'received'),
    'events_parked', (select count(*) from billing.stripe_events where state = 'parked'),
    'payments_parked', (select count(*) from billing.payments where status = 'parked' and closed_at is null),
    'usage_parked', (select count(*) from billing.parked_usage where resolved_at is null),
    'topups_open', (select jsonb_object_agg(s.state, (select count(*) from billing.topups t where t.state = s.state))
                      from (values ('open'), ('processing'), ('unknown'), ('action_required'), ('canceling')) s (state)),
    'topups_paused', (select count(*) from billing.auto_topup_settings where enabled and paused_reason is not null),
    'holds_open', (select count(*) from billing.credit_holds where state = 'open'),
    'holds_overdue', (select count(*) from billing.credit_holds where state = 'open' and expires_at <= now()),
    'differences_open', (select count(*) from billing.reconciliation_differences where resolved_at is null),
    'reconciled_until_seconds', (select floor(extract(epoch from now() - max(until))) from billing.reconciliations
                                  where state = 'done' and kind <> 'manual'),
    'notices_pending', (select count(*) from billing.outbox where state = 'pending')
                     + (select count(*) from billing.notice_deliveries where state = 'pending'),
    'notices_failed', (select count(*) from billing.notice_deliveries where state = 'failed'));
$$;
