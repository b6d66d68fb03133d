-- What was taken of every limit. No index on the end: an update changes no index, so that it stays on
-- its page. A key without a row has its whole limit, and so has one whose end is
-- over: such rows may go.
create table rate_limits (
  key text collate "C" primary key check (length(key) between 1 and 300),
  -- Whole numbers with commas between, each algorithm's own.
  state text not null check (length(state) <= 100000),
  -- When the whole limit is there again.
  ends_at timestamptz not null
) with (fillfactor = 50);
revoke all on rate_limits from brandos_app;
