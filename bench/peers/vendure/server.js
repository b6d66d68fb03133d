"use strict";
// Serves BENCH_DATABASE_URL on BENCH_PORT.
const { bootstrap } = require("@vendure/core");
const { createConfig } = require("./config.js");

bootstrap(createConfig({ synchronize: false })).catch((error) => {
  console.error(error);
  process.exit(1);
});
