-- Accounts whose auto top-up is on and paused, those that began to fail last first, up to p_limit. Callers: service.
create or replace function billing.list_paused_topups(p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('account_id', s.account_id, 'name', a.name, 'paused_reason', s.paused_reason,
             'failing_since', s.failing_since, 'declines', s.declines, 'balance', b.balance, 'status', b.status)
           order by s.failing_since desc nulls last, s.account_id), '[]')
    from (select * from billing.auto_topup_settings where enabled and paused_reason is not null
           order by failing_since desc nulls last, account_id limit p_limit) s
    join billing.accounts a on a.id = s.account_id
    join billing.credit_balances b on b.account_id = s.account_id;
$$;
