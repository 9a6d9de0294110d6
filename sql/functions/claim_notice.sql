-- Takes a notice of the outbox up, for a minute, doubling with each claim; null when it is sent or not due.
-- Callers: service.
create or replace function billing.claim_notice(p_id bigint)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_notice billing.outbox;
begin
  update billing.outbox
     set claims = claims + 1, next_attempt_at = now() + least(interval '1 minute' * power(2, least(claims, 10)), interval '6 hours')
   where id = p_id and state = 'pending' and next_attempt_at <= now()
  returning * into v_notice;
  if not found then
    return null;
  end if;
  return (select jsonb_build_object('id', v_notice.id, 'account_id', a.id, 'account_name', a.name, 'email', a.email,
            'topic', v_notice.topic, 'payload', v_notice.payload, 'created_at', v_notice.created_at, 'claims', v_notice.claims)
            from billing.accounts a where a.id = v_notice.account_id);
end $$;
