-- Adjustments that needed a second operator, newest first, of one account or state if given. Callers: service.
create or replace function billing.list_adjustments(p_account_id text, p_state text, p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(billing._adjustment_json(a) order by a.created_at desc, a.id), '[]')
  from (select * from billing.adjustments
         where (p_account_id is null or account_id = p_account_id) and (p_state is null or state = p_state)
         order by created_at desc, id limit p_limit) a;
$$;
