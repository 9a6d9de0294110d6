-- The requirement text's function and tables as they stand there: lock, decrement, log. No idempotency, lots, prices or
-- running balance.
create schema reference_plain;
set search_path = reference_plain;

create table user_profiles (
  id uuid primary key,
  tokens integer default 0 not null check (tokens >= 0),
  updated_at timestamptz default now()
);
create table transactions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references user_profiles(id) on delete cascade,
  transaction_type text not null check (transaction_type in ('purchase', 'consumption')),
  amount integer not null,
  tokens integer not null,
  stripe_payment_intent_id text,
  stripe_event_id text,
  metadata jsonb default '{}'::jsonb,
  created_at timestamptz default current_timestamp not null
);
create unique index idx_transactions_stripe_event_id on transactions(stripe_event_id) where stripe_event_id is not null;
create index idx_transactions_user_id on transactions(user_id);
create index idx_transactions_type on transactions(transaction_type);

create function deduct_token_if_sufficient(p_user_id uuid)
returns table(success boolean, remaining_tokens integer, error_message text)
language plpgsql
as $$
declare
  current_tokens integer;
begin
  select tokens into current_tokens from user_profiles where id = p_user_id for update;
  if not found then
    return query select false, 0, 'User not found';
    return;
  end if;
  if current_tokens < 1 then
    return query select false, current_tokens, 'Insufficient tokens';
    return;
  end if;
  update user_profiles set tokens = tokens - 1, updated_at = now() where id = p_user_id;
  insert into transactions (user_id, transaction_type, amount, tokens) values (p_user_id, 'consumption', -1, 1);
  return query select true, current_tokens - 1, null::text;
end;
$$;
