"""A local stand-in for Supabase Auth: as much of its HTTP surface as Refill's pages and supabase-py use of it."""
