-- The account's statement of a month (p_month: its first day, UTC), by the time of booking: opening + entries = closing, by
-- kind, and lot by lot. What is asked of a month that has not ended is its statement so far.
-- Callers: service. Raises RF001 unknown_account, RF008 invalid_value (a day that is no first of a month).
create or replace function billing.get_statement(p_account_id text, p_month date)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_start   timestamptz := p_month::timestamp at time zone 'UTC';
  v_end     timestamptz := (p_month + interval '1 month')::timestamp at time zone 'UTC';
  v_account jsonb := billing.get_account(p_account_id);
  v_opening bigint;
  v_closing bigint;
  v_kinds   jsonb;
  v_lots    jsonb;
  v_paid    jsonb;
begin
  if p_month is null or extract(day from p_month) <> 1 then
    raise exception using errcode = 'RF008', message = 'A month is named by its first day.';
  end if;
  select coalesce(sum(amount) filter (where created_at < v_start), 0), coalesce(sum(amount), 0) into v_opening, v_closing
    from billing.credit_transactions where account_id = p_account_id and created_at < v_end;
  select coalesce(jsonb_agg(to_jsonb(k) order by k.kind), '[]') into v_kinds
    from (select kind, count(*) as entries, coalesce(sum(amount) filter (where amount > 0), 0) as credits_in,
                 coalesce(-sum(amount) filter (where amount < 0), 0) as credits_out, sum(amount) as net
            from billing.credit_transactions
           where account_id = p_account_id and created_at >= v_start and created_at < v_end group by kind) k;
  select coalesce(jsonb_agg(billing._lot_json(l) || jsonb_build_object(
           'opening', m.opening, 'filled', m.filled, 'drawn', m.drawn, 'expired', m.expired,
           'closing', m.opening + m.filled - m.drawn - m.expired) order by l.id), '[]')
    into v_lots
    from billing.credit_lots l
    join (select w.lot_id, coalesce(sum(w.amount) filter (where t.created_at < v_start), 0) as opening,
                 coalesce(sum(w.amount) filter (where t.created_at >= v_start and w.amount > 0), 0) as filled,
                 coalesce(-sum(w.amount) filter (where t.created_at >= v_start and w.amount < 0 and t.kind <> 'expiry'), 0) as drawn,
                 coalesce(-sum(w.amount) filter (where t.created_at >= v_start and t.kind = 'expiry'), 0) as expired,
                 bool_or(t.created_at >= v_start) as moved
            from billing.credit_transactions t cross join lateral unnest(t.draws) w
           where t.account_id = p_account_id and t.created_at < v_end group by w.lot_id) m on m.lot_id = l.id
   where l.account_id = p_account_id and (m.moved or m.opening <> 0);
  -- Currency by currency: amounts of two are never added.
  select coalesce(jsonb_agg(to_jsonb(c) order by c.currency, c.kind), '[]') into v_paid
    from (select p.purpose as kind, p.currency::text, count(*) as payments, sum(p.amount) as charged, sum(p.discount) as discount
            from billing.credit_transactions t join billing.payments p on p.id = t.source_id
           where t.account_id = p_account_id and t.created_at >= v_start and t.created_at < v_end
             and t.source_kind = 'payment' and t.kind in ('purchase', 'topup') group by 1, 2) c;
  return jsonb_build_object('account_id', p_account_id, 'account_name', v_account->'name', 'month', to_char(p_month, 'YYYY-MM'),
    'starts_at', v_start, 'ends_at', v_end, 'is_final', v_end <= now(), 'opening', v_opening, 'closing', v_closing,
    'net', v_closing - v_opening, 'kinds', v_kinds, 'lots', v_lots, 'paid', v_paid,
    -- Lots hold no debt: what is not in them is below zero.
    'debt_opening', greatest(0, -v_opening), 'debt_closing', greatest(0, -v_closing));
end $$;
