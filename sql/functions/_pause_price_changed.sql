-- Pauses auto top-up, because credits cost more than was agreed to, and tells the account the old and the new price. p_rise: as
-- _price_rise returns it. Only another consent ends it. Internal: the caller holds the account's lock and arms afterwards.
create or replace function billing._pause_price_changed(p_account_id text, p_rise jsonb)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
begin
  update billing.auto_topup_settings set paused_reason = 'price_changed' where account_id = p_account_id and paused_reason is null;
  if found then
    perform billing._notify(p_account_id, 'topup.paused', p_account_id || ':price:' || extract(epoch from now()),
      p_rise || '{"reason": "price_changed"}');
  end if;
end $$;
