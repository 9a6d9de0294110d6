-- The account's Stripe customer; or, when it has none, what to ask Stripe for: attempt, name and email as they were first sent
-- under that attempt, and since, epoch seconds of the first one. Callers: service. Idempotent: a repeat answers the same
-- until the customer is linked. Raises RF001 unknown_account.
create or replace function billing.begin_customer(p_account_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_customer text;
  v_request  billing.customer_requests;
begin
  select stripe_customer_id into v_customer from billing.customers where account_id = p_account_id and deleted_at is null;
  if not found then
    perform billing._lock_account(p_account_id);
    select stripe_customer_id into v_customer from billing.customers where account_id = p_account_id and deleted_at is null;
  end if;
  if v_customer is null then
    insert into billing.customer_requests as r (account_id, name, email)
    select id, name, case when not email_refused then email end from billing.accounts where id = p_account_id
    on conflict (account_id) do update
      set attempt = r.attempt + 1, name = excluded.name, email = excluded.email, is_done = false, started_at = now()
      where r.is_done;
    select * into v_request from billing.customer_requests where account_id = p_account_id;
  end if;
  return jsonb_build_object('stripe_customer_id', v_customer, 'attempt', v_request.attempt, 'name', v_request.name,
    'email', v_request.email, 'since', floor(extract(epoch from v_request.started_at)),
    'age_seconds', floor(extract(epoch from now() - v_request.started_at)));
end $$;
