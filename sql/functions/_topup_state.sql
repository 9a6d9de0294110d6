-- One word on the account's auto top-up, for a refusal: off, armed, in_flight (credits come within seconds), waiting (a cap,
-- back-off, or a charge that takes longer, such as a bank debit), paused. Internal.
create or replace function billing._topup_state(p_account_id text)
  returns text
  language sql stable security definer set search_path = '' as $$
  select coalesce((
    select case
      when not s.enabled then 'off'
      when billing._topup_in_flight(s.account_id) is not null then 'in_flight'
      when s.paused_reason is not null then 'paused'
      when s.next_attempt_at > now() or exists (select from billing.topups t where t.account_id = s.account_id
                      and t.dead_at is null) then 'waiting'
      else 'armed' end
    from billing.auto_topup_settings s where s.account_id = p_account_id), 'off');
$$;
