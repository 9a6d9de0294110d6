-- The highest price of credits whose charge, with fees and taxes, is at most p_gross (minor units); 0 when none is.
-- Internal. By halves, since every line is rounded by itself; a higher price never makes a lower charge.
create or replace function billing._net_within(p_gross bigint, p_currency text, p_purpose text)
  returns bigint
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_fits   bigint := 0;
  v_beyond bigint := greatest(p_gross, 0) + 1;
  v_half   bigint;
begin
  while v_beyond - v_fits > 1 loop
    v_half := (v_fits + v_beyond) / 2;
    if billing._lines_total(billing._charge_lines(v_half, p_currency, p_purpose)) <= p_gross then
      v_fits := v_half;
    else
      v_beyond := v_half;
    end if;
  end loop;
  return v_fits;
end $$;
