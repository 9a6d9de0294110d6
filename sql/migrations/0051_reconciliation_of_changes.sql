-- Reconciliation by change, not only by creation; and what a run did not look at.
alter table billing.reconciliations
  add column depth text not null default 'all',
  add column not_compared jsonb not null default '[]';
comment on column billing.reconciliations.depth is 'created: what Stripe made in the window, and its events. open: older objects that may still change, too. all: cards as well.';
comment on column billing.reconciliations.not_compared is '[{what, reason}]: what the run could not look at. Empty: it looked at everything that it should.';

create table billing.foreign_intents (
  id       text collate "C" primary key,
  seen_at  timestamptz not null default now()
);
comment on table billing.foreign_intents is 'PaymentIntents with refunds or disputes that paid nothing of this installation, so that not every run reads them again.';
