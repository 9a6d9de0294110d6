-- What automatic charges have taken, less what was refunded of them, or may still take until Stripe has declared them dead:
-- minor units of p_currency since the start of the UTC day and month (caps in one currency count no charges in another), and
-- the number of charges within the last hour (declined ones too: they burden the card as well), with when the oldest of those
-- leaves. Money that was taken and is parked counts. Internal.
create or replace function billing._topup_spent(p_account_id text, p_currency text)
  returns table (day bigint, month bigint, per_hour integer, hour_frees_at timestamptz)
  language sql stable security definer set search_path = '' as $$
  select coalesce(sum(p.amount - billing._refunded_amount(p.id)) filter (where t.moves and p.currency = p_currency
           and t.created_at >= date_trunc('day', now(), 'UTC')), 0)::bigint,
         coalesce(sum(p.amount - billing._refunded_amount(p.id)) filter (where t.moves and p.currency = p_currency
           and t.created_at >= date_trunc('month', now(), 'UTC')), 0)::bigint,
         count(*) filter (where t.counts and t.created_at > now() - interval '1 hour')::integer,
         min(t.created_at) filter (where t.counts and t.created_at > now() - interval '1 hour') + interval '1 hour'
    from (select t.*, t.dead_at is null or t.state = 'succeeded' or p.status = 'parked' as moves,
                 t.dead_at is null or t.state <> 'canceled' or p.status = 'parked' as counts
            from billing.topups t join billing.payments p on p.id = t.payment_id
           where t.account_id = p_account_id
             and t.created_at >= least(date_trunc('month', now(), 'UTC'), now() - interval '1 hour')) t
    join billing.payments p on p.id = t.payment_id;
$$;
