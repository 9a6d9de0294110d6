-- squawk-ignore-file constraint-missing-not-valid, ban-drop-constraint
-- (The tables are small, and no row of them breaks a bound that only becomes wider.)

-- The rules of Stripe's currencies. sql/seed/0_currencies.sql fills it, from shared/currencies.csv.
create table billing.currencies (
  code         billing.currency primary key,
  decimals     integer not null check (decimals in (0, 2, 3)),
  step         bigint not null check (step > 0),
  minimum      bigint not null check (minimum > 0),
  maximum      bigint not null check (maximum > minimum),
  day_cap      bigint not null,
  month_cap    bigint not null check (month_cap >= day_cap),
  minimum_by   text not null check (minimum_by in ('stripe', 'equivalent')),
  own_minimum  bigint check (own_minimum > 0)
);
comment on table billing.currencies is 'Stripe''s rules by currency (docs.stripe.com/currencies). Written from shared/currencies.csv at each release.';
comment on column billing.currencies.decimals is 'Digits of the minor unit, as Stripe counts: two for ISK and UGX.';
comment on column billing.currencies.step is 'Amounts are multiples of it: 10 in three-decimal currencies, 100 in ISK and UGX.';
comment on column billing.currencies.minimum is 'The smallest charge in minor units; minimum_by says whether Stripe publishes it or it stands for 0.50 USD.';
comment on column billing.currencies.own_minimum is 'A higher minimum, set by the operator whose Stripe account settles in another currency. A release leaves it as it is.';
comment on column billing.currencies.day_cap is 'What the caps of auto top-up begin with when none are given.';

-- Amounts have as many digits as their currency allows: up to twelve.
alter table billing.payments drop constraint payments_amount_check;
alter table billing.payments add constraint payments_amount_check check (amount between 0 and 999999999999);
alter table billing.fee_rules drop constraint fee_rules_fixed_check;
alter table billing.fee_rules add constraint fee_rules_fixed_check check (fixed between 0 and 999999999999);

-- What may be stored is what Stripe can charge. The rules themselves are functions, which a release may change.
create function billing._require_chargeable() returns trigger
  language plpgsql security definer set search_path = '' as $$
declare
  v_fault text := billing._catalogue_fault(tg_table_name, to_jsonb(new));
begin
  if v_fault is not null then
    raise exception using errcode = 'RF008', message = v_fault;
  end if;
  return new;
end $$;
create trigger _300_require_chargeable before insert or update on billing.credit_packages
  for each row execute function billing._require_chargeable();
create trigger _300_require_chargeable before insert or update on billing.subscription_plans
  for each row execute function billing._require_chargeable();
create trigger _300_require_chargeable before insert or update on billing.fee_rules
  for each row execute function billing._require_chargeable();
create trigger _300_require_chargeable
  before insert or update of enabled, threshold, mode, credits, package_id, currency, cap_day, cap_month
  on billing.auto_topup_settings for each row execute function billing._require_chargeable();
