-- squawk-ignore-file require-concurrent-index-creation, ban-drop-not-null, adding-field-with-default, constraint-missing-not-valid,
-- squawk-ignore-file ban-drop-constraint, ban-drop-function
-- (Tables of the size of paid invoices and of the catalogue.)

-- What a paid invoice grants is decided line by line: by what each line pays for, not by why the invoice was made.
create table billing.invoice_lines (
  id                text collate "C" primary key,
  account_id        text collate "C" not null references billing.accounts (id),
  invoice_id        text collate "C" not null references billing.invoices (id),
  subscription_id   text collate "C",
  plan_id           text not null references billing.subscription_plans (id),
  price_id          text collate "C",
  is_proration      boolean not null,
  quantity          bigint not null,
  amount            bigint not null check (amount <> 0),
  currency          billing.currency not null,
  period_start      timestamptz not null,
  period_end        timestamptz not null,
  outcome           text not null check (outcome in ('granted', 'credited', 'parked')),
  reason            text,
  credited_lines    text[],
  is_open           boolean not null default false,
  due_credits       bigint not null default 0,
  returned_credits  bigint not null default 0,
  withheld_credits  bigint not null default 0,
  forgone_credits   bigint not null default 0,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  check ((outcome = 'credited') = (amount < 0)),
  check ((outcome = 'parked') = (reason is not null))
);
comment on table billing.invoice_lines is 'The lines of paid invoices that sell a plan, and what became of each. Lines that cost nothing or sell no plan are not kept.';
comment on column billing.invoice_lines.amount is 'After discounts, without tax, minor units. Below zero: Stripe credits time that was paid and is not used (a credit proration).';
comment on column billing.invoice_lines.outcome is 'granted: see subscription_grants. credited: a credit proration. parked: paid, and nothing says what it grants; an operator decides (reason).';
comment on column billing.invoice_lines.credited_lines is 'The lines that a credit proration credits, as Stripe names them; null: it names none.';
comment on column billing.invoice_lines.is_open is 'A credit proration whose credited grant is not known yet: its invoice has not been read.';
comment on column billing.invoice_lines.due_credits is 'Credits that the credited time had granted: due back. returned + withheld + forgone, and what is still owed.';
comment on column billing.invoice_lines.returned_credits is 'Taken back from what was unspent of the credited grant.';
comment on column billing.invoice_lines.withheld_credits is 'Was spent before; the grants of later lines were smaller by it.';
comment on column billing.invoice_lines.forgone_credits is 'Had expired before: gone already, and not taken again.';
create index invoice_lines_invoice on billing.invoice_lines (invoice_id);
create index invoice_lines_owed on billing.invoice_lines (account_id, period_start)
  where amount < 0 and (is_open or due_credits > returned_credits + withheld_credits + forgone_credits);

alter table billing.subscription_grants
  add column credits bigint not null default 0,
  add column whole_credits bigint not null default 0,
  add column withheld_credits bigint not null default 0,
  add column withheld_amount bigint not null default 0,
  add column credited_credits bigint not null default 0;
update billing.subscription_grants set credits = credits_per_cycle * quantity, whole_credits = credits_per_cycle * quantity;
comment on column billing.subscription_grants.credits is 'What the line granted, micro-credits: the size of its lot. 0: all of it was withheld, and it has no lot.';
comment on column billing.subscription_grants.whole_credits is 'What a whole period at the line''s price and quantity grants; the line granted its share of that.';
comment on column billing.subscription_grants.withheld_credits is 'What the line would have granted besides: credits of a credited line that had been spent count as granted by this one.';
comment on column billing.subscription_grants.withheld_amount is 'The part of amount that paid for withheld_credits, minor units: the lot''s price is amount less this.';
comment on column billing.subscription_grants.credited_credits is 'What credit prorations asked back of it, at most what it granted.';

alter table billing.invoices add column credited_amount bigint not null default 0;
comment on column billing.invoices.credited_amount is 'What of the invoice''s lines was paid by credit prorations or the customer''s balance, minor units with tax: a refund of amount_paid is that share of the lines, not all of them.';

-- A cycle may be any of Stripe's: 3 months, 2 weeks, 10 days.
alter table billing.subscription_plans add column interval_count integer not null default 1;
alter table billing.subscription_plans drop constraint subscription_plans_billing_interval_check;
alter table billing.subscription_plans
  add constraint subscription_plans_billing_interval_check check (billing_interval in ('day', 'week', 'month', 'year')),
  add constraint subscription_plans_interval_count_check check (interval_count between 1 and 1095);
comment on column billing.subscription_plans.interval_count is 'The cycle is this many of billing_interval. Stripe allows at most three years (docs.stripe.com/api/prices/create).';
alter table billing.subscription_checkouts add column interval_count integer not null default 1;

drop function if exists billing._subscription_plan(text, text);
drop function if exists billing._grant_invoice_line(text, jsonb, jsonb);
