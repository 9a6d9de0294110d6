-- Notes that a payment is processing, failed or canceled, unless it has already succeeded or was parked: a success that
-- Stripe reports later still wins (settle_payment). Callers: service. Idempotent.
-- Raises RF008 invalid_value, RF009 not_found.
create or replace function billing.fail_payment(p_payment_id text, p_status text, p_reason text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_payment billing.payments;
begin
  if p_status not in ('processing', 'failed', 'canceled') then
    raise exception using errcode = 'RF008', message = 'A payment becomes processing, failed or canceled here.';
  end if;
  update billing.payments
     set status = p_status, reason = p_reason,
         next_check_at = case p_status when 'processing' then least(next_check_at, now() + interval '1 hour') else 'infinity' end
   where id = p_payment_id and status in ('open', 'processing')
  returning * into v_payment;
  if not found then
    select * into v_payment from billing.payments where id = p_payment_id;
    if not found then
      raise exception using errcode = 'RF009', message = 'There is no such payment.';
    end if;
  end if;
  return billing._payment_json(v_payment);
end $$;
