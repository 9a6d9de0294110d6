-- Keeps what an operator did that no other function records, such as putting a dead letter back. Callers: service.
create or replace function billing.note_operation(p_actor text, p_action text, p_subject text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  insert into billing.audit_log (actor, action, subject) values (p_actor, p_action, p_subject) returning 'null'::jsonb;
$$;
