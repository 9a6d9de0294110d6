-- Gives an attempt to make the account's customer up, so that the next one has a key of its own and the account's name and
-- address of now; answers as begin_customer. p_email_refused: Stripe refused the address that was sent, so it is left out, and
-- the account is notified, once for an address. Callers: service. Idempotent by p_attempt. Raises RF001 unknown_account.
create or replace function billing.retry_customer(p_account_id text, p_attempt integer, p_email_refused boolean)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_sent text;
begin
  perform billing._lock_account(p_account_id);
  select email into v_sent from billing.customer_requests
   where account_id = p_account_id and attempt = p_attempt and not is_done;
  if found then
    if p_email_refused then
      update billing.accounts set email_refused = true where id = p_account_id and email = v_sent;
      if found then
        perform billing._notify(p_account_id, 'account.email_refused', p_account_id || ':' || md5(v_sent), '{}');
      end if;
    end if;
    update billing.customer_requests r
       set attempt = r.attempt + 1, name = a.name, email = case when not a.email_refused then a.email end
      from billing.accounts a where r.account_id = p_account_id and a.id = p_account_id;
  end if;
  return billing.begin_customer(p_account_id);
end $$;
