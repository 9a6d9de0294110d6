-- Of payment methods (pm_…) or events (evt_…), those that are not here. Callers: service.
create or replace function billing.unknown_ids(p_ids jsonb)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(i.id order by i.id), '[]') from jsonb_array_elements_text(p_ids) as i (id)
   where not exists (select from billing.stripe_events e where e.id = i.id)
     and not exists (select from billing.payment_methods m where m.id = i.id);
$$;
