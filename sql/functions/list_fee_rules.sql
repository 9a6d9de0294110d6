-- Every rule of fees and taxes, the ones switched off too. Callers: service.
create or replace function billing.list_fee_rules()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(to_jsonb(r) || jsonb_build_object('percent', trim_scale(r.percent)::text)
                            order by r.kind, r.id), '[]') from billing.fee_rules r;
$$;
