-- Whether a dispute or an inquiry keeps its account from spending: it is open, the setting FREEZE_ON says so, and no operator
-- has lifted it. What was lifted as an inquiry freezes again as a dispute. The one rule for status, reasons and check_frozen.
-- Internal.
create or replace function billing._freezes(p_reversal billing.payment_reversals)
  returns boolean
  language sql immutable security definer set search_path = '' as $$
  select p_reversal.is_open and case p_reversal.freeze_on
      when 'never' then false
      when 'inquiry' then true
      else not billing._is_inquiry(p_reversal.status) end
    and (p_reversal.lifted_stage is null or (p_reversal.lifted_stage = 'inquiry' and not billing._is_inquiry(p_reversal.status)));
$$;
