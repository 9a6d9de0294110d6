-- A checkout of a subscription as its opener needs it: `product` to sell when the plan has no price at Stripe, `own_product`
-- when Refill has to make it; `former`: Sessions before it that may still be paid, or were and have not been heard of.
-- Internal. Sessions close an hour after they were opened; a day leaves time for their webhooks.
create or replace function billing._subscription_checkout_json(p_checkout billing.subscription_checkouts)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select to_jsonb(p_checkout) || jsonb_build_object('plan_name', p.name, 'product', billing._plan_product(p),
    'own_product', p.stripe_product_id is null,
    'former', (select coalesce(jsonb_agg(f.stripe_checkout_session_id order by f.number), '[]')
                 from billing.subscription_checkouts f
                where f.account_id = p_checkout.account_id and f.number < p_checkout.number
                  and f.stripe_checkout_session_id is not null and f.subscription_id is null
                  and f.created_at > now() - interval '1 day'))
    from billing.subscription_plans p where p.id = p_checkout.plan_id;
$$;
