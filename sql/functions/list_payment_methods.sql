-- The payment methods that are attached to the account's customer, the default first, then the newest. Callers: service.
-- Raises RF001 unknown_account.
create or replace function billing.list_payment_methods(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select coalesce(jsonb_agg(billing._method_json(m) - 'fingerprint' || jsonb_build_object('id', m.id, 'default',
               coalesce(m.id = c.default_payment_method, false))
             order by m.id is not distinct from c.default_payment_method desc, m.created_at desc, m.id), '[]')
      from billing.payment_methods m join billing.customers c using (account_id)
     where m.account_id = p_account_id and m.is_attached);
end $$;
