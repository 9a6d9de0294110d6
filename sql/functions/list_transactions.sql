-- The account's ledger, newest first: of one kind if given, booked in the days p_from to p_to (UTC, both included). p_cursor:
-- what is older than that entry; with p_newer, what is newer, the nearest. previous_cursor: with p_newer it leads on to the
-- newer ones. Each entry says what it came from (_explain). Callers: service.
-- Raises RF001 unknown_account, RF008 invalid_value (cursor).
create or replace function billing.list_transactions(
  p_account_id text, p_limit integer, p_cursor text, p_kind text, p_from date default null, p_to date default null,
  p_newer boolean default false)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_cursor bigint := coalesce(p_cursor::bigint, 9223372036854775807);
  v_from   timestamptz := coalesce(p_from::timestamp at time zone 'UTC', '-infinity');
  v_until  timestamptz := coalesce((p_to + 1)::timestamp at time zone 'UTC', 'infinity');
  v_newer  boolean := p_newer and p_cursor is not null;
  v_rows   billing.credit_transactions[];
  v_more   boolean;
begin
  perform billing.get_account(p_account_id);
  if v_newer then
    v_rows := array(select t from billing.credit_transactions t
      where t.account_id = p_account_id and t.id > v_cursor and (p_kind is null or t.kind = p_kind)
        and t.created_at >= v_from and t.created_at < v_until order by t.id limit p_limit + 1);
  else
    v_rows := array(select t from billing.credit_transactions t
      where t.account_id = p_account_id and t.id < v_cursor and (p_kind is null or t.kind = p_kind)
        and t.created_at >= v_from and t.created_at < v_until order by t.id desc limit p_limit + 1);
  end if;
  v_more := cardinality(v_rows) > p_limit;
  v_rows := v_rows[:p_limit];
  return (
    select jsonb_build_object(
        'data', coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'kind', t.kind, 'credits', t.amount,
          'balance_after', t.balance_after, 'source_kind', t.source_kind, 'source_id', t.source_id,
          'occurred_at', t.occurred_at, 'created_at', t.created_at) || e.facts
          order by t.id desc), '[]'),
        'next_cursor', case when v_more or v_newer then min(t.id)::text end,
        'previous_cursor', case when v_more and v_newer or p_cursor is not null and not v_newer then max(t.id)::text end)
      from unnest(v_rows) t
      join billing._explain(p_account_id, v_rows) e on e.transaction_id = t.id);
end $$;
