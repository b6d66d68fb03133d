import { parseArgs } from "node:util";
import { startSimulator } from "./server.ts";

// The simulated bank as a program of its own:
//   node src/simulator/main.ts --folder .brandos/bank --port 4010
// Secrets come from the environment: SIMULATOR_API_KEY, SIMULATOR_WEBHOOK_SECRETS (comma between).
const { values } = parseArgs({
  options: {
    folder: { type: "string" },
    port: { type: "string", default: "0" },
    host: { type: "string", default: "127.0.0.1" },
    "webhook-url": { type: "string" },
    "public-url": { type: "string" },
  },
});

const apiKey = process.env["SIMULATOR_API_KEY"] ?? "";
const secrets = (process.env["SIMULATOR_WEBHOOK_SECRETS"] ?? "").split(",").filter(Boolean);
const port = Number(values.port);
const mistakes = [
  ...(values.folder ? [] : ["--folder is missing"]),
  ...(Number.isInteger(port) && port >= 0 && port < 65_536 ? [] : ["--port is 0 to 65535"]),
  ...(apiKey.length >= 16 ? [] : ["SIMULATOR_API_KEY needs 16 characters or more"]),
  ...(values["webhook-url"] && secrets.length === 0
    ? ["--webhook-url needs SIMULATOR_WEBHOOK_SECRETS"]
    : []),
];
if (mistakes.length > 0) {
  process.stderr.write(`simulator: ${mistakes.join("; ")}\n`);
  process.exit(2);
}

const simulator = await startSimulator({
  folder: values.folder ?? "",
  port,
  host: values.host,
  apiKey,
  webhookSecrets: secrets,
  ...(values["webhook-url"] ? { webhookUrl: values["webhook-url"] } : {}),
  ...(values["public-url"] ? { publicUrl: values["public-url"] } : {}),
});
process.stdout.write(`${JSON.stringify({ listening: simulator.url, pid: process.pid })}\n`);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    void simulator.stop().then(() => process.exit(0));
  });
}
// Whoever started it with a pipe is gone: do not outlive it.
if (process.env["SIMULATOR_FOLLOWS_STDIN"] === "1") {
  process.stdin.resume();
  process.stdin.once("end", () => void simulator.stop().then(() => process.exit(0)));
}
