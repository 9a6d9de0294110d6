-- The subjects of limits that an event or a hold counts against: its department, member and agent. Internal.
create or replace function billing._event_subjects(p_event jsonb)
  returns text[]
  language sql immutable security definer set search_path = '' as $$
  select array_remove(array['department:' || (p_event->>'department_id'), 'member:' || (p_event->>'member_id'),
    'agent:' || (p_event->>'agent')], null);
$$;
