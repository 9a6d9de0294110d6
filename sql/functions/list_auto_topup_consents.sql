-- Who allowed, changed or withdrew automatic charges, when, under which text and with which settings, newest first.
-- Callers: service. Raises RF001 unknown_account.
create or replace function billing.list_auto_topup_consents(p_account_id text, p_limit integer)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'actor', c.actor, 'enabled', c.enabled, 'at', c.created_at,
        'text_version', c.text_version, 'threshold', c.settings->'threshold', 'mode', c.settings->'mode',
        'credits', c.settings->'credits', 'price', billing._price_json(c.price), 'caps', case when c.settings ? 'cap_day' then jsonb_build_object(
          'day', c.settings->'cap_day', 'month', c.settings->'cap_month', 'per_hour', c.settings->'cap_per_hour',
          'currency', c.settings->'currency') end) order by c.id desc), '[]')
      from (select * from billing.auto_topup_consents where account_id = p_account_id order by id desc limit p_limit) c);
end $$;
