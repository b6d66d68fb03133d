/** PostgreSQL parameters by name, in the spelling of postgresql.conf without quotes. */
export type PostgresSettings = Readonly<Record<string, string | number | boolean>>;

/**
 * What the embedded server runs with when the caller says nothing: durable, and tuned for short
 * transactions, queue tables and many prepared statements on a machine it shares with node.
 *
 * @see https://www.postgresql.org/docs/18/runtime-config.html
 */
export const defaultSettings: PostgresSettings = {
  // Durability is never traded: an acknowledged order must survive a power cut.
  fsync: true,
  full_page_writes: true,
  synchronous_commit: "on",
  wal_level: "replica",
  max_wal_size: "4GB",
  min_wal_size: "256MB",
  wal_buffers: "16MB",
  checkpoint_timeout: "15min",
  checkpoint_completion_target: 0.9,
  max_wal_senders: 10,

  max_connections: 200,
  shared_buffers: "256MB",
  effective_cache_size: "1GB",
  work_mem: "8MB",
  maintenance_work_mem: "128MB",
  random_page_cost: 1.1,
  // Compiling costs more than the short statements of this program ever run.
  jit: false,
  max_parallel_workers_per_gather: 1,

  // Queue tables turn over completely within minutes: clean often, in small portions, unthrottled.
  autovacuum_naptime: "10s",
  autovacuum_vacuum_scale_factor: 0.02,
  autovacuum_vacuum_threshold: 1000,
  autovacuum_vacuum_insert_scale_factor: 0.1,
  autovacuum_analyze_scale_factor: 0.02,
  autovacuum_vacuum_cost_limit: 2000,

  idle_in_transaction_session_timeout: "60s",
  deadlock_timeout: "200ms",
  client_connection_check_interval: "10s",
  tcp_keepalives_idle: 60,
  tcp_keepalives_interval: 10,
  tcp_keepalives_count: 3,

  timezone: "UTC",
  log_timezone: "UTC",
  lc_messages: "C",
  log_line_prefix: "%m [%p] ",
  log_checkpoints: false,
  log_lock_waits: true,
  // Parameters may be personal data: neither on errors nor with slow statements.
  log_parameter_max_length: 0,
  log_parameter_max_length_on_error: 0,
  track_io_timing: true,
};

/**
 * What a throw-away server for tests changes: it may lose everything in a power cut (not when a
 * process is killed), and in return commits cost next to nothing.
 */
export const unsafeFastSettings: PostgresSettings = {
  fsync: false,
  full_page_writes: false,
  wal_level: "minimal",
  max_wal_senders: 0,
  shared_buffers: "128MB",
};

const nameForm = /^[a-z_][a-z0-9_.]*$/i;
/** Given by the launcher on the command line; a setting must not contradict it. */
const reserved: ReadonlySet<string> = new Set([
  "port",
  "listen_addresses",
  "unix_socket_directories",
  "data_directory",
]);

/**
 * Renders settings as a configuration file, sorted by name, every value quoted.
 *
 * @throws RangeError when a name is malformed or belongs to the launcher
 */
export function renderSettings(settings: PostgresSettings): string {
  const lines = Object.entries(settings)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => {
      if (!nameForm.test(name)) throw new RangeError(`not a PostgreSQL setting: ${name}`);
      if (reserved.has(name)) throw new RangeError(`the launcher decides ${name}`);
      return `${name} = '${literal(value)}'`;
    });
  return `# Written at every start. Change a value for good with ALTER SYSTEM.\n${lines.join("\n")}\n`;
}

function literal(value: string | number | boolean): string {
  const text = typeof value === "boolean" ? (value ? "on" : "off") : String(value);
  if (/[\r\n\0]/.test(text)) throw new RangeError("a PostgreSQL setting is one line");
  return text.replaceAll("\\", "\\\\").replaceAll("'", "''");
}
