-- A delivery of a notice is given up after so many failures of its receiver. Claims also count what was no failure of it: a
-- worker that was killed, a database that failed meanwhile.
alter table billing.notice_deliveries add column failures integer not null default 0;
comment on column billing.notice_deliveries.failures is 'How often the receiver, or the way to it, has failed.';
