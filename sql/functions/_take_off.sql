-- Writes down what promotion codes took off a payment that is being settled: amount becomes what was paid, and the price of the
-- credits their share of it, rounded half up; the rest is the fees' and taxes' share. A repeat changes nothing.
-- Internal: the caller has compared the discount with what was received, and holds the payment.
create or replace function billing._take_off(p_payment billing.payments, p_discount bigint)
  returns billing.payments
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if p_payment.allow_promotion_codes and p_payment.discount = 0 and p_discount > 0 then
    update billing.payments
       set discount = p_discount, amount = amount - p_discount,
           net_amount = round(net_amount::numeric * (amount - p_discount) / amount),
           lines = lines || jsonb_build_array(jsonb_build_object('kind', 'discount', 'label', 'Discount', 'amount', -p_discount))
     where id = p_payment.id
    returning * into p_payment;
  end if;
  return p_payment;
end $$;
