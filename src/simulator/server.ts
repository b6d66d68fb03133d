import { timingSafeEqual } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { type ApiAnswer, type ApiRequest, createApi } from "./api.ts";
import type { LogRecord } from "./journal.ts";
import { calmKnobs, type Knobs } from "./knobs.ts";
import { openLedger } from "./ledger.ts";
import { createDelivery, noticesOf } from "./webhooks.ts";

/** How to run a simulated bank. */
export interface SimulatorOptions {
  /** Folder of the log; made if missing. One bank per folder. */
  readonly folder: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Secret of the merchants and of the control desk. */
  readonly apiKey: string;
  /** Where notices go, `{account}` stands for the merchant; none are sent without it. */
  readonly webhookUrl?: string;
  /** Secrets that sign notices; several while they rotate. */
  readonly webhookSecrets?: readonly string[];
  /** Address that browsers use; default: the one it listens on. */
  readonly publicUrl?: string;
  readonly knobs?: Knobs;
  readonly now?: () => Date;
  readonly random?: () => number;
  /** Called when the log cannot be written: the process must end. */
  readonly onFault?: (error: unknown) => void;
}

/** A running bank. */
export interface Simulator {
  /** Its address, without a slash at the end. */
  readonly url: string;
  stop(): Promise<void>;
}

type Serve = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

const bodyBytesMax = 64 * 1024;

/** Starts a bank: takes the port first, so that a second one on the same port never touches the log. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { now = () => new Date(), random = Math.random, host = "127.0.0.1" } = options;
  const server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 30_000 });
  const ready = Promise.withResolvers<Serve>();
  server.on("request", (request, response) => {
    ready.promise
      .then((serve) => serve(request, response))
      .catch((error) => {
        if (!request.destroyed) process.emitWarning(String(error));
        response.destroy();
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const stopping = new AbortController();
  let knobs = options.knobs ?? calmKnobs;
  let waiting = 0;

  const delivery = createDelivery({
    url: options.webhookUrl,
    secrets: options.webhookSecrets ?? [],
    knobs: () => knobs,
    now,
    random,
    onSettled: (notice, outcome) => ledger.noteWebhook(notice.id, outcome),
  });
  const announce = (record: LogRecord) => {
    const isNoisy = record.kind === "payment" && record.payment.behaviour === "noisy_webhooks";
    delivery.send(noticesOf(record), isNoisy);
  };
  await mkdir(options.folder, { recursive: true });
  const onFault = options.onFault ?? crash;
  const opened = await openLedger({ folder: options.folder, now, onFault, onRecord: announce });
  const { ledger } = opened;
  const api = createApi({
    ledger,
    knobs: () => knobs,
    setKnobs(turned) {
      knobs = turned;
    },
    webhooksWaiting: () => delivery.waiting(),
    now,
    random,
    // Money that is under way still moves when the caller has gone.
    async wait(ms) {
      waiting++;
      await pause(ms, undefined, { signal: stopping.signal }).finally(() => waiting--);
    },
    requestsWaiting: () => waiting,
    publicUrl: () => options.publicUrl ?? url,
  });

  const serve: Serve = async (request, response) => {
    if (request.method === "OPTIONS") return answer(response, { status: 204 });
    const read = await readRequest(request, options.apiKey);
    if (!read) return answer(response, { status: 413, json: { code: "too_large" } });
    const outage = read.path.startsWith("/v1/") ? knobs.outage : "none";
    if (outage === "refuse") return answer(response, { status: 503, json: { code: "outage" } });
    const reply = outage === "hang" ? "lost" : await api(read);
    if (reply === "lost") lose(response, knobs);
    else answer(response, reply);
  };
  ready.resolve(serve);
  for (const record of opened.unsettled) announce(record);

  return {
    url,
    async stop() {
      if (stopping.signal.aborted) return;
      stopping.abort();
      delivery.stop();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await ledger.stop();
    },
  };
}

function crash(error: unknown): never {
  process.stderr.write(`simulator: the log cannot be written: ${String(error)}\n`);
  process.exit(1);
}

async function readRequest(
  request: IncomingMessage,
  apiKey: string,
): Promise<ApiRequest | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyBytesMax) return undefined;
    chunks.push(chunk);
  }
  return {
    method: request.method ?? "GET",
    path: (request.url ?? "/").split("?")[0] ?? "/",
    isTrusted: isSame(request.headers.authorization ?? "", `Bearer ${apiKey}`),
    body: parseBody(Buffer.concat(chunks).toString("utf8"), request.headers["content-type"]),
  };
}

function parseBody(text: string, type = ""): Readonly<Record<string, unknown>> {
  if (text === "") return {};
  if (type.startsWith("application/x-www-form-urlencoded")) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch {
    // Not JSON: an empty body fails the checks of every request that needs one.
    return {};
  }
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function answer(response: ServerResponse, reply: Exclude<ApiAnswer, "lost">): void {
  response.statusCode = reply.status;
  response.setHeader("access-control-allow-origin", "*");
  response.setHeader("access-control-allow-headers", "content-type");
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("cache-control", "no-store");
  if (reply.location) response.setHeader("location", reply.location);
  if (reply.html !== undefined) {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.setHeader("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
    response.end(reply.html);
    return;
  }
  if (reply.text !== undefined) {
    response.setHeader("content-type", "application/x-ndjson");
    response.end(reply.text);
    return;
  }
  response.setHeader("content-type", "application/json");
  response.end(reply.json === undefined ? "" : JSON.stringify(reply.json));
}

/** The answer does not arrive: the connection breaks, at once or after a long silence. */
function lose(response: ServerResponse, knobs: Knobs): void {
  if (knobs.lossStyle === "cut") {
    response.destroy();
    return;
  }
  const timer = setTimeout(() => response.destroy(), knobs.hangMs);
  response.once("close", () => clearTimeout(timer));
}
