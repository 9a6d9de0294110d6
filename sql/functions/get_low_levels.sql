-- The account's low-balance levels, the highest first. Callers: service. Raises RF001 unknown_account.
create or replace function billing.get_low_levels(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (select jsonb_build_object('account_id', a.id,
            'levels', coalesce((select jsonb_agg(l order by l desc) from unnest(a.low_levels) l), '[]'))
            from billing.accounts a where a.id = p_account_id);
end $$;
