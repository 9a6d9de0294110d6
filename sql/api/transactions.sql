-- The ledger: credits are signed, draws say which lots a row filled or drew.
create or replace view api.transactions with (security_invoker = true) as
select t.account_id, t.id, t.kind, trim_scale(t.amount * 0.000001) as credits,
       trim_scale(t.balance_after * 0.000001) as balance_after, t.source_kind, t.source_id,
       (select coalesce(jsonb_agg(jsonb_build_object('lot_id', d.lot_id, 'credits', trim_scale(d.amount * 0.000001))), '[]')
          from unnest(t.draws) d) as draws,
       t.occurred_at, t.created_at
  from billing.credit_transactions t;
