-- Whom a hold is for, as an event says it; what is not named is left out. Internal.
create or replace function billing._hold_attributes(p_hold billing.credit_holds)
  returns jsonb
  language sql immutable security definer set search_path = '' as $$
  select jsonb_strip_nulls(jsonb_build_object('agent', p_hold.agent, 'department_id', p_hold.department_id,
    'member_id', p_hold.member_id, 'run_id', p_hold.run_id));
$$;
