"use strict";
const {
  DefaultJobQueuePlugin,
  DefaultLogger,
  DefaultSearchPlugin,
  dummyPaymentHandler,
  LogLevel,
} = require("@vendure/core");

/** Superuser of the administration API, only for this run. */
const superadminCredentials = { identifier: "bench-admin", password: process.env.BENCH_PASSWORD };

/** Vendure as its documentation sets it up for production, on the database and port of the bench. */
function createConfig({ synchronize }) {
  const url = new URL(process.env.BENCH_DATABASE_URL);
  return {
    apiOptions: {
      hostname: "127.0.0.1",
      port: Number(process.env.BENCH_PORT ?? 0),
      adminApiPath: "admin-api",
      shopApiPath: "shop-api",
    },
    authOptions: { tokenMethod: ["bearer"], superadminCredentials },
    dbConnectionOptions: {
      type: "postgres",
      host: url.hostname,
      port: Number(url.port),
      username: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: url.pathname.slice(1),
      synchronize,
      migrations: [],
      logging: false,
      extra: { max: 20 },
    },
    paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
    plugins: [
      DefaultJobQueuePlugin.init({ useDatabaseForBuffer: true }),
      DefaultSearchPlugin.init({ bufferUpdates: false, indexStockStatus: true }),
    ],
    logger: new DefaultLogger({ level: LogLevel.Warn }),
  };
}

module.exports = { createConfig };
