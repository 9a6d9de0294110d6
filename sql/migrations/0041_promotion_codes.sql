-- Promotion codes on purchases: whether a package's Checkout takes them, and what Stripe took off a payment.
alter table billing.credit_packages add column allow_promotion_codes boolean not null default false;
comment on column billing.credit_packages.allow_promotion_codes is 'Checkout asks for a promotion code of Stripe. The credits are the package''s whatever the code takes off.';
alter table billing.payments add column allow_promotion_codes boolean not null default false;
comment on column billing.payments.allow_promotion_codes is 'The package''s setting when the order was opened.';
alter table billing.payments add column discount bigint not null default 0;
comment on column billing.payments.discount is 'What Stripe took off by promotion codes, minor units; known once it is paid. Then amount is what was paid, and amount + discount what was ordered.';
