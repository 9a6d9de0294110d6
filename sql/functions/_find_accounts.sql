-- Accounts with a text in their id, name or billing address, whatever its capitals; of fewer than three characters: whose id
-- begins with it. Any p_limit of them, since the first thousand of a common word say no more than the first ten. The
-- pieces of the text are found by index, their order is looked at afterwards. Internal.
create or replace function billing._find_accounts(p_text text, p_limit integer)
  returns setof text
  language plpgsql stable security definer set search_path = '' as $$
begin
  if length(p_text) < 3 then
    -- No character of an id sorts after the tilde.
    return query select a.id from billing.accounts a where a.id >= p_text and a.id < p_text || '~' order by a.id limit p_limit;
  else
    return query select a.id from billing.accounts a
      where billing._trigrams(a.id || ' ' || a.name || ' ' || coalesce(a.email, '')) @> billing._trigrams(p_text)
        and strpos(lower((a.id || ' ' || a.name || ' ' || coalesce(a.email, '')) collate "default"), lower(p_text collate "default")) > 0
      limit p_limit;
  end if;
end $$;
