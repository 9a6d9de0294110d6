-- Refuses a card that is not one. Internal; changes nothing. Raises RF008 invalid_value.
create or replace function billing._require_card(p_card jsonb)
  returns void
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_rates   jsonb := coalesce(nullif(p_card->'rates', 'null'), '{}');
  v_problem text;
begin
  v_problem := case
    when length(coalesce(p_card->>'action', '')) not between 1 and 255 then 'A card names its action in 1 to 255 characters.'
    when length(p_card->>'model') not between 1 and 255 then 'A model is named in 1 to 255 characters.'
    when (p_card->>'effective_from')::timestamptz < now() - interval '1 minute'
      or not isfinite((p_card->>'effective_from')::timestamptz)
      then 'A price begins or ends now or later: what was charged before it stays explainable.'
    when coalesce((p_card->>'retire')::boolean, false) then null
    when jsonb_typeof(v_rates) <> 'object' then 'rates are an object by dimension.'
    when p_card->>'credits' is null and v_rates = '{}' then 'A card has credits, rates or both.'
    when (p_card->>'credits')::bigint not between 1 and 1000000000000000 then 'credits are between 0.000001 and 1000000000.'
    when (select count(*) from jsonb_object_keys(v_rates)) > 50 then 'A card has at most 50 rates.'
    when exists (select from jsonb_each(v_rates) r
      where jsonb_typeof(r.value) <> 'object' or length(r.key) not between 1 and 100 or r.key = 'model'
         or coalesce((r.value->>'credits')::bigint not between 1 and 1000000000000000, true)
         or coalesce((r.value->>'per')::bigint not between 1 and 1000000000, true))
      then 'A rate has credits, between 0.000001 and 1000000000, and per, between 1 and 1000000000.' end;
  if v_problem is not null then
    raise exception using errcode = 'RF008', message = v_problem;
  end if;
end $$;
