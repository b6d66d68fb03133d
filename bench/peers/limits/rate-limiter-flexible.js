// A limiter library on memory, Redis and PostgreSQL: plain JavaScript, because it is not installed where
// types are checked.
import { RateLimiterMemory, RateLimiterPostgres, RateLimiterRedis } from "rate-limiter-flexible";

/** @typedef {(key: string) => Promise<unknown>} Take */

/**
 * @param {number} limit tokens a minute
 * @returns {Take}
 */
export function onMemory(limit) {
  const limiter = new RateLimiterMemory({ points: limit, duration: 60 });
  return (key) => limiter.consume(key);
}

/**
 * @param {import("ioredis").Redis} storeClient
 * @param {number} limit tokens a minute
 * @returns {Take}
 */
export function onRedis(storeClient, limit) {
  const limiter = new RateLimiterRedis({ storeClient, points: limit, duration: 60 });
  return (key) => limiter.consume(key);
}

/**
 * @param {import("pg").Pool} storeClient
 * @param {number} limit tokens a minute
 * @returns {Promise<Take>}
 */
export async function onPostgres(storeClient, limit) {
  const limiter = await new Promise((resolve, reject) => {
    const made = new RateLimiterPostgres(
      { storeClient, points: limit, duration: 60, tableName: "limits", tableCreated: false },
      (error) => (error ? reject(error) : resolve(made)),
    );
  });
  return (key) => limiter.consume(key);
}
