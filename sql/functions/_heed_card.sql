-- What a change of the default card means for automatic charges. None: they pause, and the account is told. Any card: the
-- pause for want of one is over. Another card than the declined one, or a renewed one: what a card had paused is re-armed
-- and its declines are forgotten. Internal: the caller holds the account's lock and arms afterwards.
create or replace function billing._heed_card(p_account_id text, p_before text, p_after text, p_renewed boolean)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_settings billing.auto_topup_settings;
  v_changed  boolean := p_after is distinct from p_before;
begin
  select * into v_settings from billing.auto_topup_settings where account_id = p_account_id;
  if not found then
    return;
  end if;
  if p_after is null then
    if v_changed and v_settings.paused_reason is null then
      update billing.auto_topup_settings set paused_reason = 'no_payment_method' where account_id = p_account_id;
      if v_settings.enabled then
        perform billing._notify(p_account_id, 'topup.paused', p_account_id || ':' || p_before || ':detached',
          '{"reason": "no_payment_method"}');
      end if;
    end if;
    return;
  end if;
  if v_changed and v_settings.paused_reason in ('no_payment_method', 'payment_method_unusable') then
    update billing.auto_topup_settings set paused_reason = null where account_id = p_account_id;
    perform billing._end_grace(p_account_id);
  end if;
  if (p_renewed or (v_changed and not billing._was_declined(p_account_id, p_after)))
     and (v_settings.paused_reason is null or billing._is_card_pause(v_settings.paused_reason)) then
    perform billing._resume_topups(p_account_id);
  end if;
end $$;
