-- The version of a mirrored subscription (sub_…) or invoice (in_…), 0 when it is unknown: to be asked before Stripe is read,
-- and handed to mirror_subscription or mirror_invoice. Callers: service.
create or replace function billing.get_mirror_version(p_stripe_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select to_jsonb(coalesce((select version from billing.subscriptions where id = p_stripe_id),
                           (select version from billing.invoices where id = p_stripe_id), 0));
$$;
