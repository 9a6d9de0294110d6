-- How many credits of the lot of a source have expired, at its end or beyond a plan's rollover cap. Internal.
-- Reads the account's ledger, but only for lots that may have lost some: those of subscriptions, and those that have ended.
create or replace function billing._expired_credits(p_account_id text, p_source text)
  returns bigint
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_lot billing.credit_lots;
begin
  select * into strict v_lot from billing.credit_lots where account_id = p_account_id and source = p_source;
  if v_lot.kind <> 'subscription' and v_lot.expires_at > now() then
    return 0;
  end if;
  return (select coalesce(-sum(amount), 0) from billing.credit_transactions
           where account_id = p_account_id and kind = 'expiry' and source_kind = 'lot' and source_id = v_lot.id::text);
end $$;
