-- A payment's refunds, disputes and warnings as mirrored, with the version to hand to reverse_payment. Callers: service.
-- Raises RF009 not_found.
create or replace function billing.get_reversals(p_payment_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_payment billing.payments;
begin
  select * into v_payment from billing.payments where id = p_payment_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such payment.';
  end if;
  return jsonb_build_object('payment_id', v_payment.id, 'version', v_payment.reversals_version,
    'refunded_credits', v_payment.refunded_credits, 'disputed_credits', v_payment.disputed_credits,
    'reversals', (select coalesce(jsonb_agg(to_jsonb(r) order by r.occurred_at, r.id), '[]')
                    from billing.payment_reversals r where r.payment_id = p_payment_id));
end $$;
