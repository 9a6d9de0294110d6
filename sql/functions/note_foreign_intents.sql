-- Remembers PaymentIntents that paid nothing of this installation, a json array of ids, and forgets those of half a year ago.
-- Callers: service. Idempotent. Answers how many are new.
create or replace function billing.note_foreign_intents(p_ids jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_new integer;
begin
  insert into billing.foreign_intents (id) select distinct i.id from jsonb_array_elements_text(p_ids) as i (id)
  on conflict do nothing;
  get diagnostics v_new = row_count;
  delete from billing.foreign_intents where seen_at < now() - interval '180 days';
  return to_jsonb(v_new);
end $$;
