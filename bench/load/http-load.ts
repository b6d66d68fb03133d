import { fork } from "node:child_process";
import { Client } from "undici";
import { type LoadReport, summarise } from "../harness.ts";

/** One HTTP call of a scenario. */
export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

/** Sends one call on the caller's own connection. */
export type Send = (call: Call) => Promise<Answer>;

/** One pass of a scenario; throws when an answer is wrong. */
export type Scenario = (send: Send, index: number, caller: number) => Promise<void>;

/** How to load a server. */
export interface HttpLoad {
  readonly origin: string;
  readonly clients: number;
  readonly durationMs: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A load report with what went wrong. */
export interface HttpLoadReport extends LoadReport {
  readonly errors: number;
  readonly firstError?: string;
}

/** Runs a scenario in a closed loop, a keep-alive connection per client. */
export async function loadHttp(load: HttpLoad, scenario: Scenario): Promise<HttpLoadReport> {
  const clients = Array.from({ length: load.clients }, () => new Client(load.origin));
  const latencies: number[] = [];
  let errors = 0;
  let firstError: string | undefined;
  let started = 0;
  const begin = performance.now();
  const loop = async (client: Client, caller: number) => {
    const send = sender(client, load.headers ?? {});
    while (performance.now() - begin < load.durationMs) {
      const at = performance.now();
      try {
        await scenario(send, started++, caller);
        latencies.push(performance.now() - at);
      } catch (error) {
        errors++;
        firstError ??= String(error).slice(0, 400);
      }
    }
  };
  await Promise.all(clients.map(loop));
  const elapsedMs = performance.now() - begin;
  await Promise.all(clients.map((client) => client.close()));
  return { ...summarise(latencies, elapsedMs), errors, ...(firstError ? { firstError } : {}) };
}

function sender(client: Client, common: Readonly<Record<string, string>>): Send {
  return async ({ method, path, body, headers }) => {
    const answer = await client.request({
      method,
      path,
      headers: {
        ...common,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    const parsed = text === "" ? undefined : JSON.parse(text);
    return { status: answer.statusCode, headers: answer.headers, body: parsed };
  };
}

/** Runs a worker file of this folder in a process of its own and returns what it sends back. */
export function inOwnProcess<Input, Output>(file: URL, input: Input): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = fork(file, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    child.once("message", (message) => {
      resolve(message as Output);
      child.disconnect();
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      if (code !== 0) reject(new Error(`the load generator ended with code ${code}`));
    });
    child.send(input as never);
  });
}
