-- The tables that PyPI's credit-ledger 0.3.0 reads and writes. Without its row-level security, which a superuser passes
-- by anyway, so that it is not slowed down by anything of ours.
create table credit_balance (
  tenant_id  text primary key,
  credits    numeric(18,4) not null default 0 check (credits >= 0),
  updated_at timestamptz not null default now()
);
create table credit_ledger (
  id              uuid primary key,
  tenant_id       text not null,
  delta           numeric(18,4) not null,
  reason          text not null,
  idempotency_key text,
  balance_after   numeric(18,4) not null,
  created_at      timestamptz not null default now(),
  unique (tenant_id, idempotency_key)
);
