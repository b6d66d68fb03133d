/** What commands take. */
export type RedisArgument = string | number | Buffer;

/**
 * A connection to one Redis or Valkey server, as `connectRedis` makes it, and ioredis and iovalkey.
 * With another's: give it a `commandTimeout`, `maxRetriesPerRequest: 0`, no resending and no offline
 * queue, so that a server that is away says so soon.
 */
export interface RedisNode {
  /** Sends any command; texts come back as strings. */
  call(command: string, ...args: RedisArgument[]): Promise<unknown>;
  /** The same; texts come back as they are stored, in Buffers. */
  callBuffer(command: string, ...args: RedisArgument[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: RedisArgument[]): Promise<unknown>;
  evalsha(sha: string, keys: number, ...args: RedisArgument[]): Promise<unknown>;
}
