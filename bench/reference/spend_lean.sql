\set n random(1, :accounts)
select * from reference_lean.deduct_token_if_sufficient(md5(:n::text)::uuid);
