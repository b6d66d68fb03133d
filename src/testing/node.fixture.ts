import { createApp } from "../app.ts";
import { readConfig } from "../config.ts";
import type { NodeOrders, NodeSays } from "./nodes.ts";

// A node of the product in a process of its own, which can be told to die at a chosen place.

const orders = JSON.parse(process.env["BRANDOS_TEST_NODE"] ?? "{}") as NodeOrders;
const say = (message: NodeSays) => process.send?.(message);
let armed = false;
let lived = 0;

const app = await createApp({
  config: readConfig({ ...process.env, BRANDOS_TEST_NODE: undefined }),
  homeUrl: orders.ownerUrl,
  operatorKey: orders.operatorKey,
  secret: orders.secret,
  ...(orders.bank ? { simulator: orders.bank } : {}),
  log: {
    info() {},
    warn() {},
    error: (fields, message) => console.error(message, fields["err"] ?? fields),
  },
  failpoint(name) {
    if (!armed || !orders.places.some((prefix) => name.startsWith(prefix))) return;
    lived++;
    if (orders.dieAt === 0) say({ reached: name });
    // Nothing of this process runs after this line.
    if (lived === orders.dieAt) process.kill(process.pid, "SIGKILL");
  },
});
process.on("message", (message) => {
  if (message === "arm") {
    armed = true;
    say({ armed: true });
  }
});
// Without its test nobody needs it.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.once("SIGTERM", () => {
  void app.stop().then(() => process.exit(0));
});
const { url = "" } = await app.start();
say({ url });
