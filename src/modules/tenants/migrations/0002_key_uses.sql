-- When a key was last seen, to the minute: an owner revokes what nobody uses. Written behind, some
-- seconds late, and never in the way of a request.
alter table api_keys add column last_used_at timestamptz;
