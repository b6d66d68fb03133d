import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { allRoles, ConfigError, readConfig } from "./config.ts";
import { configReference } from "./config-variables.ts";

test("an empty environment is a usable one", () => {
  const config = readConfig({});
  assert.equal(config.port, 4_000);
  assert.equal(config.database.url, undefined);
  assert.deepEqual(config.roles, allRoles);
  assert.ok(config.home.endsWith("/.brandos"));
});

test("every mistake is reported at once, without the values", () => {
  const env = {
    PORT: "80a",
    DATABASE_URL: "mysql://root:hunter2@db",
    BRANDOS_ROLES: "api,cook",
    BRANDOS_OPERATOR_KEY: "short",
    BRANDOS_DATABASES: "[1]",
    BRANDOS_REDIS_URLS: "redis://a,http://b",
    BRANDOS_POOL_MAX: "0",
    BRANDOS_POOL_MXA: "5",
    BRANDOS_CORS_ORIGINS: "https://a.example/path",
    NODE_ENV: "prod",
  };
  assert.throws(
    () => readConfig(env),
    (error: ConfigError) => {
      assert.equal(error.mistakes.length, Object.keys(env).length);
      for (const name of Object.keys(env)) assert.match(error.message, new RegExp(`${name}: `));
      assert.doesNotMatch(error.message, /hunter2|short$/m);
      return error instanceof ConfigError;
    },
  );
});

test("variables that contradict each other are reported", () => {
  const url = "postgres://app:x@db/brandos";
  assert.throws(() => readConfig({ DATABASE_APP_URL: url }), /need DATABASE_URL/);
  assert.throws(() => readConfig({ BRANDOS_POOL_MIN: "20" }), /more than BRANDOS_POOL_MAX/);
  assert.throws(() => readConfig({ BRANDOS_REDIS_CLUSTER: "true" }), /needs BRANDOS_REDIS_URLS/);
  assert.throws(() => readConfig({ BRANDOS_DATABASES: JSON.stringify({ home: url }) }), /home/);
});

test("what is set is read, and cannot be changed", () => {
  const config = readConfig({
    PORT: "0",
    DATABASE_URL: "postgres://owner:x@db:5432/brandos",
    BRANDOS_DATABASES: '{"eu1":"postgresql://owner:y@eu1/brandos"}',
    BRANDOS_ROLES: "worker, api",
    BRANDOS_CORS_ORIGINS: "https://a.example,https://b.example",
    BRANDOS_RATE_PER_MINUTE: "0",
    BRANDOS_PREPARE: "false",
    BRANDOS_REDIS_URLS: "redis://cache:x@10.0.0.1:6379/2, rediss://10.0.0.2",
    BRANDOS_HOME: "",
  });
  assert.deepEqual(config.roles, ["api", "worker"]);
  assert.deepEqual(config.corsOrigins, ["https://a.example", "https://b.example"]);
  assert.equal(config.http.ratePerMinute, 0);
  assert.equal(config.database.prepare, false);
  const urls = ["redis://cache:x@10.0.0.1:6379/2", "rediss://10.0.0.2"];
  assert.deepEqual(config.redis, { urls, isCluster: false });
  assert.equal(config.database.clusters["eu1"], "postgresql://owner:y@eu1/brandos");
  assert.throws(() => {
    (config.http as { ratePerMinute: number }).ratePerMinute = 1;
  }, TypeError);
});

test("docs/reference/config.md is the reference of the code", () => {
  const file = new URL("../docs/reference/config.md", import.meta.url);
  assert.equal(readFileSync(file, "utf8"), configReference());
});
