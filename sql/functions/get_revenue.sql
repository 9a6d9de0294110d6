-- What paid credits come to in a month (p_month: its first day, UTC), by currency and kind, in minor units, by the time of
-- booking: opening + sold + restored - refunded - disputed - broken - used = closing. What remains of a lot is worth
-- round(paid_amount * remaining / granted). A lot's figures are steps between such values, in the order above, so that
-- none is negative and used is what is left of the difference: usage, paid debt, corrections. Of one account, or of all.
-- Callers: service. Raises RF001 unknown_account, RF008 invalid_value (a day that is no first of a month).
-- Goes back from what remains now, so only what was booked since the month began is taken apart.
create or replace function billing.get_revenue(p_month date, p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_start  timestamptz := p_month::timestamp at time zone 'UTC';
  v_end    timestamptz := (p_month + interval '1 month')::timestamp at time zone 'UTC';
  v_answer jsonb;
begin
  if p_month is null or extract(day from p_month) <> 1 then
    raise exception using errcode = 'RF008', message = 'A month is named by its first day.';
  end if;
  if p_account_id is not null then
    perform billing.get_account(p_account_id);
  end if;
  with moves as (
    select t.account_id, d.lot_id, sum(d.amount) as since_start,
           coalesce(sum(d.amount) filter (where t.created_at >= v_end), 0) as since_end,
           coalesce(sum(d.amount) filter (where d.amount > 0 and t.counter_account not in ('refunds', 'disputes')
             and t.created_at < v_end), 0) as sold,
           coalesce(sum(d.amount) filter (where d.amount > 0 and t.counter_account in ('refunds', 'disputes')
             and t.created_at < v_end), 0) as restored,
           coalesce(-sum(d.amount) filter (where d.amount < 0 and t.counter_account = 'refunds'
             and t.created_at < v_end), 0) as refunded,
           coalesce(-sum(d.amount) filter (where d.amount < 0 and t.counter_account = 'disputes'
             and t.created_at < v_end), 0) as disputed,
           coalesce(-sum(d.amount) filter (where t.counter_account = 'expiry' and t.created_at < v_end), 0) as broken
      from billing.credit_transactions t cross join lateral unnest(t.draws) d
     where t.created_at >= v_start and (p_account_id is null or t.account_id = p_account_id)
     group by t.account_id, d.lot_id
  ), steps as (
    select l.kind || 's' as kind, l.currency, l.paid_amount::numeric as paid, l.granted,
           l.remaining - coalesce(m.since_start, 0) as opening, l.remaining - coalesce(m.since_end, 0) as closing,
           coalesce(m.sold, 0) as sold, coalesce(m.restored, 0) as restored, coalesce(m.refunded, 0) as refunded,
           coalesce(m.disputed, 0) as disputed, coalesce(m.broken, 0) as broken
      from billing.credit_lots l left join moves m on m.account_id = l.account_id and m.lot_id = l.id
     where l.is_paid and (p_account_id is null or l.account_id = p_account_id) and (l.remaining > 0 or m.lot_id is not null)
  ), worth as ( -- after each step
    select kind, currency,
           round(paid * opening / granted) as opening,
           round(paid * (opening + sold) / granted) as after_sold,
           round(paid * (opening + sold + restored) / granted) as after_restored,
           round(paid * (opening + sold + restored - refunded) / granted) as after_refunded,
           round(paid * (opening + sold + restored - refunded - disputed) / granted) as after_disputed,
           round(paid * (opening + sold + restored - refunded - disputed - broken) / granted) as after_broken,
           round(paid * closing / granted) as closing
      from steps
  ), figures as (
    select currency, kind, grouping(kind) = 1 as is_total, jsonb_build_object(
             'opening', sum(opening), 'sold', sum(after_sold - opening), 'restored', sum(after_restored - after_sold),
             'refunded', sum(after_restored - after_refunded), 'disputed', sum(after_refunded - after_disputed),
             'broken', sum(after_disputed - after_broken), 'used', sum(after_broken - closing),
             'closing', sum(closing)) as sums
      from worth where opening <> 0 or closing <> 0 or after_sold <> opening or after_restored <> after_sold
     group by grouping sets ((currency), (currency, kind))
  )
  select jsonb_agg(f.sums || jsonb_build_object('currency', f.currency, 'kinds', (
           select jsonb_agg(k.sums || jsonb_build_object('kind', k.kind) order by k.kind)
             from figures k where k.currency = f.currency and not k.is_total)) order by f.currency)
    into v_answer from figures f where f.is_total;
  return jsonb_build_object('account_id', p_account_id, 'month', to_char(p_month, 'YYYY-MM'), 'starts_at', v_start,
    'ends_at', v_end, 'is_final', v_end <= now(), 'currencies', coalesce(v_answer, '[]'));
end $$;
