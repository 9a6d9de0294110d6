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
    -- Planned anew each time: a word that many have is found soonest by reading accounts until there are enough.
    return query execute $query$
      select a.id from billing.accounts a
       where billing._trigrams(a.id || ' ' || a.name || ' ' || coalesce(a.email, '')) @> billing._trigrams($1)
         and strpos(lower((a.id || ' ' || a.name || ' ' || coalesce(a.email, '')) collate "default"), lower($1 collate "default")) > 0
       limit $2 $query$ using p_text, p_limit;
  end if;
end $$;
