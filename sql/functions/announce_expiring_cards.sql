-- Tells accounts whose default card expires at the end of this month or the next one (UTC), once a card and expiry, up to
-- p_limit of them; answers how many. Callers: service.
create or replace function billing.announce_expiring_cards(p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_month integer := extract(year from now() at time zone 'UTC')::integer * 12 + extract(month from now() at time zone 'UTC')::integer;
  v_card  billing.payment_methods;
  v_told  integer := 0;
begin
  for v_card in
    select m.* from billing.payment_methods m
      join billing.customers c on c.account_id = m.account_id and c.default_payment_method = m.id and c.deleted_at is null
     where m.is_attached and not m.expiry_announced and m.exp_year * 12 + m.exp_month between v_month and v_month + 1
     order by m.exp_year * 12 + m.exp_month, m.id limit p_limit for update of m skip locked
  loop
    update billing.payment_methods set expiry_announced = true where id = v_card.id;
    perform billing._notify(v_card.account_id, 'card.expiring',
      v_card.id || ':' || v_card.exp_year || ':' || v_card.exp_month,
      billing._method_json(v_card) - 'fingerprint' || jsonb_build_object('auto_topup', coalesce(
        (select s.enabled from billing.auto_topup_settings s where s.account_id = v_card.account_id), false)));
    v_told := v_told + 1;
  end loop;
  return to_jsonb(v_told);
end $$;
