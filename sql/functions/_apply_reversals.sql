-- Takes back of what a payment or an invoice granted what its mirrored refunds and disputes ask for, or gives back what they
-- no longer do: the share of the price that is gone, at most the grant. Credits that expired before are gone already, and
-- are not taken again. Answers the change in credits taken back.
-- Internal: the caller holds the account's lock. Repeatable: it moves towards a target.
create or replace function billing._apply_reversals(p_payment_id text, p_invoice_id text default null)
  returns bigint
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_paid     billing.reversible := billing._reversible(p_payment_id, p_invoice_id);
  v_grant    record;
  v_refunded bigint; -- money
  v_gone     bigint;
  v_asked    bigint; -- credits
  v_forgone  bigint;
  v_refunds  bigint;
  v_disputes bigint;
  v_more     bigint := 0; -- taken back now for refunds
  v_change   bigint := 0;
begin
  select coalesce(sum(amount) filter (where kind = 'refund'), 0), coalesce(sum(amount), 0) into v_refunded, v_gone
    from billing.payment_reversals
   where (payment_id = v_paid.payment_id or invoice_id = v_paid.invoice_id) and is_taken;
  if (billing._lock_account(v_paid.account_id)).next_expiry_at <= now() then
    perform billing._expire_account_lots(v_paid.account_id);
  end if;
  for v_grant in select * from billing._paid_grants(v_paid) loop
    -- An invoice of 0 has no payment that could be refunded.
    v_asked := least(v_grant.credits, round(v_grant.credits::numeric * v_gone / greatest(1, v_paid.amount)));
    v_forgone := least(v_asked, v_grant.forgone_credits);
    if v_asked > v_grant.refunded_credits + v_grant.disputed_credits + v_forgone then
      v_forgone := least(v_asked - v_grant.refunded_credits - v_grant.disputed_credits, billing._expired_credits(
        v_paid.account_id, v_grant.source_kind || ':' || v_grant.source_id));
    end if;
    v_refunds := least(v_asked - v_forgone, round(v_grant.credits::numeric * v_refunded / greatest(1, v_paid.amount)));
    v_disputes := v_asked - v_forgone - v_refunds;
    update billing.payments
       set refunded_credits = v_refunds, disputed_credits = v_disputes, forgone_credits = v_forgone
     where v_grant.source_kind = 'payment' and id = v_grant.source_id;
    update billing.subscription_grants
       set refunded_credits = v_refunds, disputed_credits = v_disputes, forgone_credits = v_forgone
     where v_grant.source_kind = 'invoice_line' and id = v_grant.source_id;
    perform billing._take_back(v_paid.account_id, v_grant.source_kind, v_grant.source_id, 'refund', 'refunds',
      v_refunds - v_grant.refunded_credits);
    perform billing._take_back(v_paid.account_id, v_grant.source_kind, v_grant.source_id, 'dispute', 'disputes',
      v_disputes - v_grant.disputed_credits);
    v_more := v_more + greatest(0, v_refunds - v_grant.refunded_credits);
    v_change := v_change + v_refunds + v_disputes - v_grant.refunded_credits - v_grant.disputed_credits;
  end loop;
  if v_more > 0 then
    perform billing._notify(v_paid.account_id, 'payment.refunded', coalesce(p_payment_id, p_invoice_id) || ':' || v_refunded,
      jsonb_build_object('payment_id', p_payment_id, 'invoice_id', p_invoice_id, 'amount', v_refunded,
        'currency', v_paid.currency, 'credits', (select sum(g.refunded_credits) from billing._paid_grants(v_paid) g)));
  end if;
  return v_change;
end $$;
