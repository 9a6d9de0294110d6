-- What an operator looks for, in this order, until something is found: what the text names as an id; as an id within an
-- account (p_account_id, or the first word of the text, as in "acme run-42"); events about an object of Stripe's; accounts
-- with the text in id, name or billing address. Nothing in the text has a meaning of its own: % and _ are characters.
-- Answers by_key (the text was an id), more (there are more than p_limit) and hits, each with kind, id, state, and the account's
-- id, name, email, status and balance. Callers: service.
create or replace function billing.search_records(p_text text, p_account_id text, p_limit integer)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_text    text := left(btrim(p_text), 320);
  v_account text := coalesce(p_account_id, nullif(split_part(v_text, ' ', 1), v_text));
  v_key     text := case when p_account_id is null then btrim(substr(v_text, strpos(v_text, ' ') + 1)) else v_text end;
  v_by_key  boolean := true;
  v_hits    jsonb;
begin
  if v_text = '' then
    return jsonb_build_object('by_key', false, 'more', false, 'hits', '[]'::jsonb);
  end if;
  if p_account_id is null then
    select jsonb_agg(to_jsonb(f) order by f.kind, f.id) into v_hits from billing._find_by_key(v_text) f;
  end if;
  if v_hits is null and v_account is not null then
    select jsonb_agg(to_jsonb(f) order by f.kind desc, f.id) into v_hits from billing._find_within(v_account, v_key) f;
  end if;
  if v_hits is null and p_account_id is null then
    v_by_key := false;
    select jsonb_agg(jsonb_build_object('kind', 'event', 'id', e.id, 'account_id', null, 'state', e.state)
             order by e.received_at desc) into v_hits
      from (select * from billing.stripe_events where object_id = v_text order by received_at desc limit p_limit + 1) e;
  end if;
  if v_hits is null and p_account_id is null then
    select jsonb_agg(jsonb_build_object('kind', 'account', 'id', a.id, 'account_id', a.id, 'state', null) order by a.name, a.id)
      into v_hits from billing._find_accounts(v_text, p_limit + 1) f (id) join billing.accounts a on a.id = f.id;
  end if;
  return (
    select jsonb_build_object('by_key', v_by_key and v_hits is not null,
        'more', coalesce(jsonb_array_length(v_hits) > p_limit, false),
        'hits', coalesce(jsonb_agg(h.hit || jsonb_build_object('name', a.name, 'email', a.email, 'status', b.status,
          'balance', b.balance) order by h.place), '[]'))
      from jsonb_array_elements(v_hits) with ordinality h (hit, place)
      left join billing.accounts a on a.id = h.hit->>'account_id'
      left join billing.credit_balances b on b.account_id = a.id
     where h.place <= p_limit);
end $$;
