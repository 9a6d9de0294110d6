-- Sizes one charge: enough to rise above the threshold (whole fixed amounts), or up to the target, within what the caps
-- leave for the whole charge. Answers credits, their price, the lines with fees and taxes, and what these come to; or the
-- cap that leaves no room and when it frees some.
-- Internal. Changes nothing.
create or replace function billing._topup_offer(
  p_settings billing.auto_topup_settings, p_available bigint,
  out credits bigint, out net_amount bigint, out lines jsonb, out amount bigint, out cap text, out frees_at timestamptz)
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_package billing.credit_packages := billing._topup_package(p_settings.package_id, p_settings.currency);
  v_rules   billing.currencies := billing._currency_rules(p_settings.currency);
  v_spent   record;
  v_room    bigint;
  v_net     numeric; -- of the room, what credits may cost
  v_wanted  bigint;
begin
  select * into v_spent from billing._topup_spent(p_settings.account_id, p_settings.currency);
  v_room := least(p_settings.cap_day - v_spent.day, p_settings.cap_month - v_spent.month, v_rules.maximum);
  v_net := billing._net_within(v_room, p_settings.currency, 'topup');
  v_net := v_net - v_net % v_rules.step; -- what is charged is a multiple of it
  if p_settings.mode = 'target' then
    v_wanted := p_settings.credits - p_available;
    credits := least(v_wanted, floor(v_net * v_package.credits / v_package.amount)::bigint);
  else
    v_wanted := greatest(1, (p_settings.threshold - p_available) / p_settings.credits + 1);
    credits := p_settings.credits * least(v_wanted, floor(v_net * v_package.credits / v_package.amount
      / p_settings.credits)::bigint);
  end if;
  net_amount := billing._topup_price(credits, v_package.credits, v_package.amount, v_rules.step)::bigint;
  lines := billing._charge_lines(net_amount, p_settings.currency, 'topup');
  amount := billing._lines_total(lines);
  if v_spent.per_hour >= p_settings.cap_per_hour then
    cap := 'cap_per_hour';
    frees_at := v_spent.hour_frees_at;
  elsif net_amount < 1 or amount < v_rules.minimum or amount > v_room then
    cap := case when p_settings.cap_month - v_spent.month <= p_settings.cap_day - v_spent.day then 'cap_month' else 'cap_day' end;
    frees_at := (date_trunc(substr(cap, 5), now() at time zone 'UTC') + ('1 ' || substr(cap, 5))::interval) at time zone 'UTC';
  end if;
end $$;
