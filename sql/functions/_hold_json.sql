-- A hold as callers see it, beside what the account has left. Internal.
create or replace function billing._hold_json(p_account_id text, p_hold_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('id', h.id, 'account_id', h.account_id, 'parent_id', h.parent_id, 'state', h.state,
    'amount', h.amount, 'settled', h.settled, 'spent', h.spent, 'reserved', h.reserved,
    'remaining', case when h.state = 'open' then greatest(0, h.amount - h.spent - h.reserved) else 0 end,
    'action', h.action, 'agent', h.agent, 'department_id', h.department_id, 'member_id', h.member_id, 'run_id', h.run_id,
    'expires_at', h.expires_at, 'created_at', h.created_at, 'closed_at', h.closed_at,
    'available', greatest(0, b.balance - b.held + b.overdraft), 'status', b.status)
  from billing.credit_holds h join billing.credit_balances b on b.account_id = h.account_id
 where h.account_id = p_account_id and h.id = p_hold_id;
$$;
