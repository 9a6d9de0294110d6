-- What operators look for and decide: search by part of a name, payments by state, and parked payments that are closed.

-- The three-letter pieces of a text, in small letters. An index stands on it, so it never changes: hence here, and not in
-- functions/. pg_trgm would do the same; PostgreSQL has it as an extension alone, which not every server can install.
create function billing._trigrams(p_text text)
  returns text[]
  language plpgsql immutable parallel safe security definer set search_path = '' as $$
declare
  v_small  text := lower(coalesce(p_text, '') collate "default");
  v_pieces text[] := '{}';
begin
  for n in 1..length(v_small) - 2 loop
    v_pieces[n] := substr(v_small, n, 3);
  end loop;
  return v_pieces;
end $$;

-- Opening accounts waits while it is made, a minute or two for a million accounts, once. Nothing else does: spends and
-- payments write no account. It is as large as the table (186 MB for a million), and opening one takes half a
-- millisecond longer; a search without it reads every account.
-- squawk-ignore require-concurrent-index-creation
create index accounts_search on billing.accounts
  using gin (billing._trigrams(id || ' ' || name || ' ' || coalesce(email, '')));

alter table billing.payments
  add column parked_facts jsonb,
  add column closed_at timestamptz,
  add column closer text,
  add column closing_note text;
comment on column billing.payments.parked_facts is 'What Stripe said when the payment was parked last, as settle_payment was told.';
comment on column billing.payments.closed_at is 'When an operator decided that this parked payment is never granted, whatever Stripe says of it later. The check keeps it parked, also before the functions of another version.';
alter table billing.payments add constraint payments_closed_stays_parked
  check (closed_at is null or (status = 'parked' and closing_note is not null)) not valid;
-- squawk-ignore constraint-missing-not-valid
alter table billing.payments validate constraint payments_closed_stays_parked;
-- What was given by an adjustment under the payment's id, as operations.md said until now, must not be granted besides.
update billing.payments p
   set closed_at = t.created_at, closer = 'migration 0023', closing_note = 'Given by the adjustment of this id'
  from billing.credit_transactions t
 where p.status = 'parked' and t.account_id = p.account_id and t.source_kind = 'adjustment' and t.source_id = p.id;

-- Writes of payments and events wait for as long as a second per million rows, once.
-- squawk-ignore require-concurrent-index-creation
create index payments_state on billing.payments (status, created_at);
-- squawk-ignore require-concurrent-index-creation
create index payments_charge on billing.payments (stripe_charge_id) where stripe_charge_id is not null;
-- squawk-ignore require-concurrent-index-creation
create index stripe_events_object on billing.stripe_events (object_id);
-- squawk-ignore require-concurrent-index-creation
create index auto_topup_settings_paused on billing.auto_topup_settings (account_id)
  where enabled and paused_reason is not null;
