-- Writes what Stripe says of the refunds and disputes of a payment or invoice into payment_reversals, and tells
-- the account of disputes.
-- A refund counts from its making until it fails or is canceled; a dispute once the funds are withdrawn, and not any more
-- when it is won. A status that is new to us leaves a dispute open. p_facts.freeze_on is the setting FREEZE_ON (_freezes).
-- Internal: the caller holds the account's lock.
-- Statuses: docs.stripe.com/api/refunds/object, docs.stripe.com/api/disputes/object.
create or replace function billing._mirror_reversals(p_paid billing.reversible, p_facts jsonb)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_fact record;
  v_was  billing.payment_reversals;
  v_is   billing.payment_reversals;
  v_escalated boolean;
  v_new  boolean := false; -- money was refunded that was not before
  v_any  boolean := false; -- Stripe says something that it did not say before
begin
  for v_fact in
    select f.*, 'refund' as kind, f.status not in ('failed', 'canceled') as is_taken, false as is_open
      from jsonb_to_recordset(p_facts->'refunds') as f (id text, amount bigint, status text, reason text, created float8)
    union all
    select f.id, f.amount, f.status, f.reason, f.created, 'dispute',
           f.status = 'lost' or (f.withdrawn and f.status <> 'won'),
           f.status not in ('won', 'lost', 'warning_closed', 'prevented')
      from jsonb_to_recordset(p_facts->'disputes') as f (id text, amount bigint, status text, reason text, created float8,
        withdrawn boolean)
    order by 1
  loop
    select * into v_was from billing.payment_reversals where id = v_fact.id;
    insert into billing.payment_reversals
      (id, account_id, payment_id, invoice_id, kind, amount, status, is_taken, is_open, reason, occurred_at,
       freeze_on)
    values (v_fact.id, p_paid.account_id, p_paid.payment_id, p_paid.invoice_id, v_fact.kind, v_fact.amount, v_fact.status,
      v_fact.is_taken, v_fact.is_open, v_fact.reason, to_timestamp(v_fact.created), coalesce(p_facts->>'freeze_on', 'dispute'))
    on conflict (id) do update set amount = excluded.amount, status = excluded.status, is_taken = excluded.is_taken,
      is_open = excluded.is_open, reason = excluded.reason, updated_at = now(),
      freeze_on = coalesce(p_facts->>'freeze_on', payment_reversals.freeze_on)
    returning * into v_is;
    v_any := v_any or (v_is.amount, v_is.status, v_is.is_taken) is distinct from (v_was.amount, v_was.status, v_was.is_taken);
    v_new := v_new or v_is.kind = 'refund' and v_is.is_taken and not coalesce(v_was.is_taken, false);
    if v_is.kind = 'dispute' and v_is.status = 'lost' and v_was.status is distinct from 'lost' then
      -- The card was disowned: a person decides whether it is charged again.
      update billing.auto_topup_settings set paused_reason = coalesce(paused_reason, 'dispute_lost')
       where account_id = p_paid.account_id;
    end if;
    -- An inquiry that becomes a dispute is news: money is withdrawn, and it may freeze the account.
    v_escalated := v_was.is_open and v_is.is_open and billing._is_inquiry(v_was.status) and not billing._is_inquiry(v_is.status);
    if v_is.kind = 'dispute' and (v_was.id is null or v_was.is_open) and (v_was.id is null or not v_is.is_open or v_escalated) then
      perform billing._notify(p_paid.account_id, case when v_is.is_open then 'dispute.opened' else 'dispute.closed' end,
        v_is.id || case when v_escalated then ':dispute' else '' end,
        to_jsonb(v_is) || jsonb_build_object('currency', p_paid.currency, 'inquiry', billing._is_inquiry(v_is.status),
          'frozen', billing._freezes(v_is)));
    end if;
  end loop;
  if v_any then
    perform billing._mark_crossings(p_paid.account_id, null); -- also of what moves no credits, as an inquiry
  end if;
  if v_new then
    perform billing._pause_refunded(p_paid);
  end if;
end $$;
