-- The schema that everything of Refill lives in. Nothing is granted here: sql/policies.sql holds every grant and policy.
create schema billing;
comment on schema billing is 'Refill: credits, payments and automatic top-up. Written only by the functions of this schema.';

-- Credits are bigint micro-credits everywhere (1 credit = 1,000,000). A movement is at most a thousand million credits, so
-- that every sum of a movement and a balance stays inside bigint. No domain: it would cost each spend its coercion.

-- Ids that callers choose: printable, bounded, compared byte by byte.
create domain billing.external_id as text collate "C"
  check (length(value) between 1 and 255);

-- Currencies as Stripe writes them.
create domain billing.currency as text collate "C"
  check (value ~ '^[a-z]{3}$');

-- Append-only tables carry this trigger; see 0004.
create function billing.refuse_change() returns trigger
  language plpgsql set search_path = '' as $$
begin
  raise exception using errcode = 'RF015',
    message = format('%I.%I is append-only: %s refused', tg_table_schema, tg_table_name, lower(tg_op));
end $$;
