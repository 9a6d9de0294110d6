-- What p_quantity of a package come to, with fees and taxes: what open_purchase freezes and Stripe charges. `round` counts the
-- account's purchases of just this that are over: an order keeps it until it is paid or given up, so that whoever derives a
-- payment's id from it opens one payment however many tabs ask.
-- Callers: service. Changes nothing. Raises RF001 unknown_account, RF007 unknown_package, RF008 invalid_value.
create or replace function billing.quote_purchase(p_account_id text, p_package_id text, p_quantity integer)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_package billing.credit_packages;
  v_lines   jsonb;
  v_round   bigint;
  v_fault   text;
begin
  perform billing.get_account(p_account_id);
  select * into v_package from billing.credit_packages where id = p_package_id and active;
  if not found then
    raise exception using errcode = 'RF007', message = 'There is no such package. GET /api/billing/packages lists them.';
  end if;
  v_lines := billing._charge_lines(v_package.amount * p_quantity, v_package.currency, 'purchase');
  v_fault := billing._amount_fault(billing._lines_total(v_lines), v_package.currency);
  if p_quantity not between 1 and 1000 or billing._lines_total(v_lines) > (billing._currency_rules(v_package.currency)).maximum then
    raise exception using errcode = 'RF008', message = 'This quantity is more than one payment may carry.';
  end if;
  if v_fault is not null then -- a rule that is younger than the package
    raise exception using errcode = 'RF008', message = 'This cannot be bought: ' || v_fault || '.';
  end if;
  select count(*) into v_round
    from billing.payments p cross join lateral (select billing._payment_json(p) as facts) j
   where p.account_id = p_account_id and p.purpose = 'purchase' and p.package_id = p_package_id and p.quantity = p_quantity
     -- An order at a former price is over as well.
     and (p.status not in ('open', 'processing') or (j.facts->>'overdue')::boolean or p.amount <> billing._lines_total(v_lines));
  return jsonb_build_object('package_id', p_package_id, 'name', v_package.name, 'quantity', p_quantity,
    'credits', v_package.credits * p_quantity, 'net_amount', v_package.amount * p_quantity,
    'amount', billing._lines_total(v_lines), 'currency', v_package.currency, 'lines', v_lines, 'round', v_round,
    'allow_promotion_codes', v_package.allow_promotion_codes);
end $$;
