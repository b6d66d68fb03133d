"use strict";
const { defineConfig } = require("@medusajs/framework/utils");

const origin = "http://127.0.0.1";

module.exports = defineConfig({
  admin: { disable: true },
  projectConfig: {
    databaseUrl: process.env.BENCH_DATABASE_URL,
    databaseDriverOptions: { connection: { ssl: false }, pool: { max: 20 } },
    http: {
      storeCors: origin,
      adminCors: origin,
      authCors: origin,
      jwtSecret: "bench-jwt-secret",
      cookieSecret: "bench-cookie-secret",
    },
  },
});
