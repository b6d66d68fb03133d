import { once } from "node:events";
import net from "node:net";
import { createFramer, type WireMessage } from "./wire-messages.ts";

export type { WireMessage } from "./wire-messages.ts";

/**
 * What to do with a message: hand it on, cut the connection before it is handed on, or hand it on
 * and cut before anything comes back (whoever got it works on it and nobody hears the answer).
 */
export type WireAction = "pass" | "cut_before" | "cut_after";

/** Decides about every message. @param index counts all messages since the rule was set, from 1 */
export type WireRule = (message: WireMessage, index: number) => WireAction;

/** A proxy in front of PostgreSQL that breaks connections at a chosen message. */
export interface TcpProxy {
  readonly port: number;
  /** The same URL through the proxy. */
  through(url: string): string;
  /** Sets the rule, and starts counting anew. */
  decide(rule: WireRule): void;
  /** Messages seen since the rule was set. */
  seen(): number;
  /** Delays every message, each way, milliseconds. */
  delay(ms: number): void;
  /** Holds everything back, connections stay open. */
  pause(): void;
  resume(): void;
  /** Whether new connections are refused. */
  refuse(on: boolean): void;
  /** Cuts every connection now. */
  cutAll(): void;
  stop(): Promise<void>;
}

interface State {
  rule: WireRule;
  seen: number;
  delayMs: number;
  paused: Promise<void> | undefined;
  refusing: boolean;
}

const passAll: WireRule = () => "pass";

/** Starts a proxy on a free port in front of the server a URL points to. */
export async function startTcpProxy(targetUrl: string): Promise<TcpProxy> {
  const target = new URL(targetUrl);
  const state: State = { rule: passAll, seen: 0, delayMs: 0, paused: undefined, refusing: false };
  const links = new Set<Link>();
  let release = () => {};
  const server = net.createServer((client) => {
    if (state.refusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = net.connect(Number(target.port || 5432), target.hostname);
    // Messages go out one by one: held back for company they would cost 40 ms each.
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    const link = createLink(state, client, upstream);
    links.add(link);
    void link.gone.then(() => links.delete(link));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const cutAll = () => {
    for (const link of links) link.cut();
  };
  return {
    port,
    through(url) {
      const changed = new URL(url);
      changed.hostname = "127.0.0.1";
      changed.port = String(port);
      return changed.href;
    },
    decide(rule) {
      state.rule = rule;
      state.seen = 0;
    },
    seen: () => state.seen,
    delay: (ms) => {
      state.delayMs = ms;
    },
    pause() {
      state.paused ??= new Promise((resolve) => {
        release = resolve;
      });
    },
    resume() {
      state.paused = undefined;
      release();
    },
    refuse: (on) => {
      state.refusing = on;
    },
    cutAll,
    async stop() {
      release();
      // Whoever is on the way in would keep the server open.
      state.refusing = true;
      cutAll();
      server.close();
      await once(server, "close");
    },
  };
}

interface Link {
  cut(): void;
  readonly gone: Promise<unknown>;
}

function createLink(state: State, client: net.Socket, upstream: net.Socket): Link {
  let isCut = false;
  const cut = () => {
    isCut = true;
    client.resetAndDestroy();
    upstream.resetAndDestroy();
  };
  /** The server still reads what was sent to it, then finds the line closed. */
  const cutAnswer = () => {
    isCut = true;
    client.resetAndDestroy();
    upstream.end();
  };
  const carry = (from: net.Socket, to: net.Socket, direction: WireMessage["direction"]) => {
    let queue: Promise<void> = Promise.resolve();
    const forward = async (message: WireMessage): Promise<void> => {
      await state.paused;
      if (state.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, state.delayMs));
      if (isCut) return;
      const action = state.rule(message, ++state.seen);
      if (action === "cut_before") return cut();
      to.write(message.bytes);
      if (action === "cut_after") cutAnswer();
    };
    const framer = createFramer(direction, (message) => {
      queue = queue.then(() => forward(message));
    });
    from.on("data", framer);
    from.on("end", () => {
      queue.then(() => to.end());
    });
    // A broken side breaks the other; the tests look at what their program makes of it.
    from.on("error", () => to.destroy());
  };
  carry(client, upstream, "to_server");
  carry(upstream, client, "to_client");
  return { cut, gone: Promise.allSettled([once(client, "close"), once(upstream, "close")]) };
}
