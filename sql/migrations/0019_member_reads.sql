-- What members read over the data API: views in a schema of their own (sql/api), since columns of the tables stay hidden.
-- A project may have a schema api already; what else is in it is not touched.
create schema if not exists api;
