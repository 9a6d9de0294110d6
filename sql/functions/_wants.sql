-- Whether a notice is for an endpoint: of its account, or of any when it is the platform's, and of its topics. Internal.
create or replace function billing._wants(p_endpoint billing.webhook_endpoints, p_notice billing.outbox)
  returns boolean
  language sql immutable security definer set search_path = '' as $$
  select coalesce(p_endpoint.account_id = p_notice.account_id, true) and coalesce(p_notice.topic = any (p_endpoint.topics), true);
$$;
