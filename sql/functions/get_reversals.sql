-- Refunds, disputes and warnings of a payment, or of an invoice, as mirrored, with the version to hand to reverse_payment.
-- Callers: service. Raises RF009 not_found.
create or replace function billing.get_reversals(p_payment_id text, p_invoice_id text default null)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_paid     billing.reversible := billing._reversible(p_payment_id, p_invoice_id);
  v_refunded bigint;
  v_disputed bigint;
begin
  select coalesce(sum(g.refunded_credits), 0), coalesce(sum(g.disputed_credits), 0) into v_refunded, v_disputed
    from billing._paid_grants(v_paid) g;
  return jsonb_build_object('payment_id', v_paid.payment_id, 'invoice_id', v_paid.invoice_id, 'version', v_paid.version,
    'refunded_credits', v_refunded, 'disputed_credits', v_disputed,
    'reversals', (select coalesce(jsonb_agg(to_jsonb(r) order by r.occurred_at, r.id), '[]')
                    from billing.payment_reversals r
                   where r.payment_id = v_paid.payment_id or r.invoice_id = v_paid.invoice_id));
end $$;
