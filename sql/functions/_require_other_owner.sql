-- Refuses to take the role of owner from the last one who has it. The account's lock must be held, so that two owners cannot
-- remove each other at once. Internal. Raises RF010 state_conflict.
create or replace function billing._require_other_owner(p_account_id text, p_user_id uuid)
  returns void
  language plpgsql stable security definer set search_path = '' as $$
begin
  if exists (select from billing.account_members
              where account_id = p_account_id and user_id = p_user_id and role = 'owner')
     and not exists (select from billing.account_members
                      where account_id = p_account_id and user_id <> p_user_id and role = 'owner') then
    raise exception using errcode = 'RF010', message = 'An account keeps one owner: make somebody else an owner first.';
  end if;
end $$;
