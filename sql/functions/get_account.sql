-- The account. Callers: service. Raises RF001 unknown_account.
create or replace function billing.get_account(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_account jsonb;
begin
  select jsonb_build_object('account_id', a.id, 'name', a.name, 'email', a.email, 'status', b.status,
           'email_refused', a.email_refused,
           'created', false, 'created_at', a.created_at)
    into v_account
    from billing.accounts a join billing.credit_balances b on b.account_id = a.id
   where a.id = p_account_id;
  if not found then
    raise exception using errcode = 'RF001', message = 'There is no such account.';
  end if;
  return v_account;
end $$;
