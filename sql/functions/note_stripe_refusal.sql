-- Keeps a refusal of Stripe that only an operator can act on, and notifies the operators, at most once a day for one cause.
-- p_account_id: whose request it was, or null. Callers: service. A repeat counts again.
create or replace function billing.note_stripe_refusal(p_cause text, p_code text, p_account_id text, p_details jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text := coalesce(p_account_id, '');
begin
  insert into billing.stripe_refusals as r (cause, code, account_id, details)
  values (p_cause, p_code, v_account, p_details)
  on conflict (cause) do update
    set times = r.times + 1, last_at = now(), account_id = excluded.account_id, details = excluded.details;
  perform billing._notify_operators(v_account, 'stripe_refused', p_cause,
    p_details || jsonb_build_object('code', p_code, 'account_id', nullif(v_account, '')));
  return 'true'::jsonb;
end $$;
