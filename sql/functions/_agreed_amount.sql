-- What a charge for p_credits comes to, with fees and taxes, at a price that was agreed to (auto_topup_consents.price): minor
-- units. Internal. null without a price.
create or replace function billing._agreed_amount(p_price jsonb, p_credits bigint)
  returns bigint
  language sql immutable security definer set search_path = '' as $$
  select billing._lines_total(billing._lines_by_rules(
    -- Beyond any charge it does not matter by how much.
    least(billing._topup_price(p_credits, p.credits, p.amount, p.step), 1000000000000000)::bigint, p.step, p_price->'rules'))
    from jsonb_to_record(p_price) as p (credits bigint, amount bigint, step bigint)
   where p.amount is not null and p_credits is not null;
$$;
