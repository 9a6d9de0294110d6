-- Opens an account with its balance row and its sign-up grant, which an owner gets once, whatever the number of accounts;
-- a known id answers the account as it is.
-- Callers: service. Idempotent by p_account_id. Raises RF008 invalid_value (by the table's checks).
create or replace function billing.open_account(
  p_account_id text, p_name text, p_email text, p_owner_id uuid, p_signup_credits bigint, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_created boolean;
  v_had     boolean := false;
begin
  if p_owner_id is not null then
    -- Two accounts of one owner at once: the second sees the first one's credits.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('signup:' || p_owner_id::text, 0));
    v_had := exists (select from billing.account_members m
                       join billing.credit_lots l on l.account_id = m.account_id and l.kind = 'signup'
                      where m.user_id = p_owner_id and m.role = 'owner');
  end if;
  insert into billing.accounts (id, name, email) values (p_account_id, p_name, p_email)
  on conflict (id) do nothing;
  v_created := found;
  if v_created then
    insert into billing.credit_balances (account_id) values (p_account_id);
    if p_owner_id is not null then
      insert into billing.account_members (account_id, user_id, role) values (p_account_id, p_owner_id, 'owner');
    end if;
    if p_signup_credits > 0 and not v_had then
      perform billing._post_grant(p_account_id, 'signup', 'promotions', p_signup_credits, 'account', p_account_id);
    end if;
    insert into billing.audit_log (account_id, actor, action, subject)
    values (p_account_id, p_actor, 'account.opened', p_account_id);
  end if;
  return billing.get_account(p_account_id) || jsonb_build_object('created', v_created);
end $$;
