-- Stricter than the requirement text: the same function over the least that a log can be, one identity key and no other
-- index, check or foreign key.
create schema reference_lean;
set search_path = reference_lean;

create table user_profiles (
  id uuid primary key,
  tokens integer not null,
  updated_at timestamptz default now()
);
create table transactions (
  id bigint generated always as identity primary key,
  user_id uuid not null,
  transaction_type text not null,
  amount integer not null,
  tokens integer not null,
  created_at timestamptz not null default now()
);

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
