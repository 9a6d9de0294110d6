-- squawk-ignore-file require-concurrent-index-creation, ban-drop-not-null, ban-drop-constraint, constraint-missing-not-valid, adding-serial-primary-key-field
-- (A catalogue and parked rows: small tables, locked for milliseconds; and the version before writes neither null nor a key twice.)

-- Rate cards: a row of agent_action_costs is one version of the card of an action, for one model or for none, for one
-- account or for everybody.
create type billing.price as (credits bigint, code text);
comment on type billing.price is 'What an event costs in micro-credits, or why it has no price.';

alter table billing.agent_action_costs
  add column account_id text collate "C" not null default '',
  add column model text collate "C" not null default '',
  add column rates jsonb,
  add column unit text,
  add column effective_until timestamptz not null default 'infinity',
  add column is_plain boolean not null default true,
  add column created_at timestamptz not null default now(),
  alter column credits drop not null;
comment on table billing.agent_action_costs is 'Rate cards by effective time. A new price is a new row and ends the one before; old rows stay, so that old debits remain explainable.';
comment on column billing.agent_action_costs.account_id is 'An account with prices of its own; empty: everybody else.';
comment on column billing.agent_action_costs.model is 'The model of dimensions.model; empty: calls that name none, and any model while no card of the action names one.';
comment on column billing.agent_action_costs.credits is 'Micro-credits for one of quantity; null: none.';
comment on column billing.agent_action_costs.rates is 'By dimension: {"input_tokens": {"credits": 3000000, "per": 1000000}}. null: dimensions cost nothing.';
comment on column billing.agent_action_costs.is_plain is 'The action costs credits times quantity for everybody, with no other card to look for. Kept by set_action_cost().';

update billing.agent_action_costs c
   set effective_until = coalesce((select min(n.effective_from) from billing.agent_action_costs n
                                    where n.action = c.action and n.effective_from > c.effective_from), 'infinity'),
       created_at = effective_from;
-- The first price also prices what happened before it.
update billing.agent_action_costs c set effective_from = '-infinity'
 where not exists (select from billing.agent_action_costs o where o.action = c.action and o.effective_from < c.effective_from);

alter table billing.agent_action_costs
  drop constraint agent_action_costs_pkey,
  add primary key (action, account_id, model, effective_from);
create unique index agent_action_costs_current on billing.agent_action_costs (action, account_id, model)
  where effective_until = 'infinity';

-- Usage without a price waits for its card, once per event.
alter table billing.parked_usage
  add column tried_at timestamptz,
  add column resolution text;
comment on column billing.parked_usage.tried_at is 'When its price was last looked for in vain.';
comment on column billing.parked_usage.resolution is 'What became of it: booked, duplicate, or an operator''s word.';
update billing.parked_usage p set resolved_at = now(), resolution = 'duplicate'
 where p.code = 'unknown_action' and exists (
   select from billing.parked_usage o where o.account_id = p.account_id and o.event_id = p.event_id
      and o.code = p.code and o.id < p.id);
create unique index parked_usage_unpriced on billing.parked_usage (account_id, event_id)
  where resolved_at is null and code in ('unknown_action', 'unknown_model', 'unknown_dimension');
create index parked_usage_waiting on billing.parked_usage (id) where resolved_at is null;

create table billing.usage_exports (
  month       date primary key,
  events      bigint not null,
  credits     numeric not null,
  sha256      text not null,
  actor       text not null,
  exported_at timestamptz not null default now(),
  dropped_at  timestamptz
);
comment on table billing.usage_exports is 'Months of credit_usage that were written to a file. Only such a month may be dropped.';
