import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { createTestDatabase, type TestDatabase } from "../../src/testing/database.ts";

const root = path.join(import.meta.dirname, "../..");
const startMaxMs = 90_000;

/** Keys of a demo brand. */
export interface DemoKeys {
  readonly slug: string;
  readonly name: string;
  readonly secretKey: string;
  readonly publishableKey: string;
}

/** A running program with its demo brands, and a browser to look at it. */
export interface Site extends AsyncDisposable {
  readonly url: string;
  readonly keys: readonly DemoKeys[];
  readonly operatorKey: string;
  readonly database: TestDatabase;
  /** Opens a tab of its own session. Whatever goes wrong in its page is collected. */
  open(options?: BrowserContextOptions): Promise<Page>;
  /** Errors of scripts, refusals of the pages' policy, and requests to elsewhere. */
  readonly faults: string[];
  /** Keeps a picture of a page. */
  shoot(page: Page, name: string): Promise<void>;
}

/** Finds the browser. @returns undefined when there is none */
export function findChromium(): string | undefined {
  const known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  return [process.env["CHROMIUM"], ...known].find((file) => file !== undefined && existsSync(file));
}

/** Starts the program on a free port, as "npm start" does, and a browser. */
export async function openSite(executablePath: string): Promise<Site> {
  if (!existsSync(path.join(root, "console/dist/index.html"))) {
    throw new Error('The console is not built: run "npm run build --workspace console".');
  }
  const home = await mkdtemp(path.join(os.tmpdir(), "brandos-browser-"));
  const pictures = process.env["PICTURES"] ?? path.join(os.tmpdir(), "brandos-pictures");
  mkdirSync(pictures, { recursive: true });
  const database = await createTestDatabase({ migrated: false });
  const server = await startServer(home, database.ownerUrl);
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const faults: string[] = [];
  const read = (name: string) => readFile(path.join(home, name), "utf8");
  return {
    url: server.url,
    keys: JSON.parse(await read("demo-keys.json")) as readonly DemoKeys[],
    operatorKey: (await read("operator-key")).trim(),
    database,
    faults,
    open: (options) => openPage(browser, options, faults),
    async shoot(page, name) {
      await page.screenshot({ path: path.join(pictures, `${name}.png`) });
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await server.stop();
      await database.drop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function startServer(home: string, databaseUrl: string) {
  const child = spawn(process.execPath, ["src/main.ts"], {
    cwd: root,
    env: { ...ownEnvironment(), PORT: "0", BRANDOS_HOME: home, DATABASE_URL: databaseUrl },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  const url = await addressOf(child);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await exited;
  };
  return { url, stop };
}

/** The environment without settings of the program: they are for whoever runs the tests. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith("BRANDOS_"));
  return Object.fromEntries(entries);
}

/** Waits until it says where its console is. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const fail = () => {
      clearTimeout(timer);
      reject(new Error(`the program did not start:\n${said}`));
    };
    const timer = setTimeout(fail, startMaxMs);
    const listen = (chunk: Buffer) => {
      said += chunk;
      // The banner is complete when it says how to stop.
      const url = /Console\s+(http:\/\/[^/\s]+)\/console[\s\S]*Ctrl-C/.exec(said)?.[1];
      if (!url) return;
      clearTimeout(timer);
      resolve(url);
    };
    child.stdout?.on("data", listen);
    child.stderr?.on("data", listen);
    child.once("exit", fail);
  });
}

async function openPage(
  browser: Browser,
  options: BrowserContextOptions | undefined,
  faults: string[],
): Promise<Page> {
  const context = await browser.newContext({
    locale: "en-GB",
    viewport: { width: 1280, height: 860 },
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() !== "error") return;
    // A declined card is a 402, which the browser reports by itself.
    if (message.text().includes("status of 402")) return;
    faults.push(`${page.url()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol.startsWith("http") && hostname !== "127.0.0.1") faults.push(request.url());
  });
  return page;
}
