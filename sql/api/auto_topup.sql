-- Settings and state of automatic top-up; no row: it was never set, so it is off.
create or replace view api.auto_topup with (security_invoker = true) as
select account_id, enabled, trim_scale(threshold * 0.000001) as threshold, mode, trim_scale(credits * 0.000001) as credits,
       package_id, cap_day, cap_month, cap_per_hour, currency, paused_reason, waiting_reason, next_attempt_at, updated_at
  from billing.auto_topup_settings;
