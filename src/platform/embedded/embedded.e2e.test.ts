import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, describe, it, type TestContext } from "node:test";
import pg from "pg";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded.ts";
import { isServing, readPidFile } from "./postmaster.ts";
import { isAlive } from "./processes.ts";
import { until } from "./wait.ts";

const isRoot = process.getuid?.() === 0;
/** In a checkout below a closed folder an ordinary user cannot even run the program. */
const ordinary = { uid: 65_534, gid: 65_534 };
const ordinaryCanRun =
  isRoot &&
  spawnSync(
    process.execPath,
    ["--eval", `import(${JSON.stringify(import.meta.resolve("./wait.ts"))})`],
    ordinary,
  ).status === 0;
const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A new place for data, which other users may pass; what still runs there is ended afterwards. */
function setup(t: TestContext, mode = 0o711): string {
  const home = mkdtempSync(path.join(os.tmpdir(), "brandos-embedded-"));
  chmodSync(home, mode);
  folders.push(home);
  const dataDir = path.join(home, "postgres");
  t.after(async () => {
    const pid = serverPid(dataDir);
    if (pid === undefined) return;
    process.kill(pid, "SIGQUIT");
    await until(() => !isServing(pid, dataDir), { timeoutMs: 10_000 });
  });
  return dataDir;
}

function serverPid(dataDir: string): number | undefined {
  const pid = existsSync(dataDir) ? readPidFile(dataDir)?.pid : undefined;
  return pid !== undefined && isServing(pid, dataDir) ? pid : undefined;
}

async function query(server: { readonly url: string }, text: string): Promise<unknown[]> {
  const client = new pg.Client(server.url);
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

interface Holder {
  readonly child: ChildProcess;
  readonly pid: number;
  /** The next line it says. */
  next(): Promise<Record<string, unknown>>;
}

/** Starts the server from another process. */
function hold(
  t: TestContext,
  dataDir: string,
  identity: { uid?: number; gid?: number } = {},
): Holder {
  const program = path.join(import.meta.dirname, "holder.fixture.ts");
  const child = spawn(process.execPath, [program, dataDir], {
    ...identity,
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    pid: child.pid ?? 0,
    async next() {
      const { value } = await lines.next();
      return value === undefined ? { ended: true } : JSON.parse(value);
    },
  };
}

async function killAndWait(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

describe("a first start", () => {
  it("makes a durable UTF-8 cluster that only this machine and this user reach", async (t) => {
    const dataDir = setup(t);
    const server = await startEmbeddedPostgres({ dataDir });
    t.after(() => server.stop());
    assert.match(server.version, /^18\./);
    assert.equal(server.attached, false);
    const [row] = await query(
      server,
      `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as sync,
              current_setting('data_checksums') as checksums, current_setting('shared_buffers') as buffers,
              current_setting('listen_addresses') as listen, current_setting('max_connections') as connections,
              current_setting('unix_socket_directories') as sockets,
              (select rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = 'postgres') as scram,
              pg_encoding_to_char(encoding) as encoding, datlocale, datlocprovider as provider
       from pg_database where datname = 'template1'`,
    );
    assert.deepEqual(row, {
      fsync: "on",
      sync: "on",
      checksums: "on",
      buffers: "256MB",
      listen: "127.0.0.1",
      connections: "200",
      sockets: "",
      scram: true,
      encoding: "UTF8",
      datlocale: "C.UTF-8",
      provider: "b",
    });
    assert.equal(statSync(`${dataDir}.json`).mode & 0o777, 0o600);
    assert.equal(statSync(`${dataDir}.log`).mode & 0o777, 0o600);
    assert.equal(statSync(dataDir).mode & 0o777, 0o700);
    assert.notEqual(statSync(dataDir).uid, 0);
  });

  it("refuses a connection without the password", async (t) => {
    const dataDir = setup(t);
    const server = await startEmbeddedPostgres({ dataDir });
    t.after(() => server.stop());
    await assert.rejects(
      query({ url: `postgres://postgres:wrong@127.0.0.1:${server.port}/postgres` }, "select 1"),
      { code: "28P01" },
    );
  });

  it("hands no environment of node to the server", {
    skip: process.platform !== "linux",
  }, async (t) => {
    const dataDir = setup(t);
    process.env["BRANDOS_CANARY"] = "canary";
    t.after(() => delete process.env["BRANDOS_CANARY"]);
    const server = await startEmbeddedPostgres({ dataDir });
    t.after(() => server.stop());
    assert(!readFileSync(`/proc/${serverPid(dataDir)}/environ`, "utf8").includes("CANARY"));
  });

  it("gives two processes that start at once the same server and one owner", async (t) => {
    const dataDir = setup(t);
    const holders = [hold(t, dataDir), hold(t, dataDir), hold(t, dataDir)];
    const said = await Promise.all(holders.map((holder) => holder.next()));
    assert.deepEqual(said.map(({ error }) => error).filter(Boolean), []);
    assert.equal(new Set(said.map(({ url }) => url)).size, 1);
    assert.deepEqual(said.map(({ attached }) => attached).sort(), [false, true, true]);
  });
});

describe("a second start", () => {
  it("finds data, port and password as they were", async (t) => {
    const dataDir = setup(t);
    const first = await startEmbeddedPostgres({ dataDir });
    await query(first, "create table kept as select 42 as answer");
    await first.stop();
    const second = await startEmbeddedPostgres({ dataDir });
    t.after(() => second.stop());
    assert.equal(second.url, first.url);
    assert.deepEqual(await query(second, "select answer from kept"), [{ answer: 42 }]);
  });

  it("attaches to a server that another process owns, and does not stop it", async (t) => {
    const dataDir = setup(t);
    const owner = hold(t, dataDir);
    const { url } = await owner.next();
    const attached = await startEmbeddedPostgres({ dataDir });
    assert.equal(attached.attached, true);
    assert.equal(attached.url, url);
    await attached.stop();
    assert.deepEqual(await query(attached, "select 1 as one"), [{ one: 1 }]);
    owner.child.stdin?.write("stop\n");
    assert.deepEqual(await owner.next(), { stopped: true });
    assert.equal(serverPid(dataDir), undefined);
  });

  it("takes another port when the remembered one is taken meanwhile", async (t) => {
    const dataDir = setup(t);
    const first = await startEmbeddedPostgres({ dataDir });
    await first.stop();
    const squatter = createServer().listen(first.port, "127.0.0.1");
    await once(squatter, "listening");
    t.after(() => squatter.close());
    const second = await startEmbeddedPostgres({ dataDir });
    t.after(() => second.stop());
    assert.notEqual(second.port, first.port);
    assert.deepEqual(await query(second, "select 1 as one"), [{ one: 1 }]);
    await assert.rejects(startEmbeddedPostgres({ dataDir: setup(t), port: first.port }), {
      code: "ERR_EMBEDDED_START_FAILED",
    });
  });

  it("sets a new password when its file was lost", async (t) => {
    const dataDir = setup(t);
    const first = await startEmbeddedPostgres({ dataDir });
    await query(first, "create table kept as select 42 as answer");
    await first.stop();
    rmSync(`${dataDir}.json`);
    const second = await startEmbeddedPostgres({ dataDir });
    t.after(() => second.stop());
    assert.notEqual(second.url, first.url);
    assert.deepEqual(await query(second, "select answer from kept"), [{ answer: 42 }]);
  });

  it("applies settings that changed, also to a server that it adopts", async (t) => {
    const dataDir = setup(t);
    const holder = hold(t, dataDir);
    await holder.next();
    await killAndWait(holder.child);
    const server = await startEmbeddedPostgres({ dataDir, settings: { work_mem: "12MB" } });
    t.after(() => server.stop());
    assert.equal(server.attached, false);
    const applied = async () => {
      const [row] = await query(server, "select current_setting('work_mem') as memory");
      return (row as { memory: string }).memory === "12MB";
    };
    assert(await until(applied, { timeoutMs: 5_000 }));
  });
});

describe("after kill -9 of node", () => {
  it("leaves the server running, and the next start adopts and stops it", async (t) => {
    const dataDir = setup(t);
    const holder = hold(t, dataDir);
    const { url } = await holder.next();
    const pid = serverPid(dataDir);
    await query({ url: String(url) }, "create table kept as select 42 as answer");
    await killAndWait(holder.child);
    assert.equal(serverPid(dataDir), pid);

    const adopter = await startEmbeddedPostgres({ dataDir });
    assert.equal(adopter.attached, false);
    assert.equal(serverPid(dataDir), pid);
    assert.deepEqual(await query(adopter, "select answer from kept"), [{ answer: 42 }]);
    await adopter.stop();
    await adopter.stop();
    assert.equal(serverPid(dataDir), undefined);
  });

  it("cleans up after a first start that was killed half way", async (t) => {
    const dataDir = setup(t);
    const dead = spawn(process.execPath, ["-e", ""]);
    await once(dead, "exit");
    mkdirSync(`${dataDir}.new-${dead.pid}-abcd`);
    const server = await startEmbeddedPostgres({ dataDir });
    t.after(() => server.stop());
    assert(!existsSync(`${dataDir}.new-${dead.pid}-abcd`));
  });
});

describe("after kill -9 of PostgreSQL", () => {
  it("its owner brings it back on the same address with everything committed", async (t) => {
    const dataDir = setup(t);
    const server = await startEmbeddedPostgres({ dataDir });
    t.after(() => server.stop());
    await query(server, "create table kept as select 42 as answer");
    const pid = serverPid(dataDir);
    assert(pid);
    process.kill(pid, "SIGKILL");
    const back = async () => {
      const rows = await query(server, "select answer from kept").catch(() => undefined);
      return rows?.length === 1;
    };
    assert(await until(back, { timeoutMs: 20_000 }));
    assert.notEqual(serverPid(dataDir), pid);
  });

  it("can be stopped while it is being brought back", async (t) => {
    const dataDir = setup(t);
    const server = await startEmbeddedPostgres({ dataDir });
    const pid = serverPid(dataDir);
    assert(pid);
    process.kill(pid, "SIGKILL");
    await server.stop();
    assert.equal(serverPid(dataDir), undefined);
  });

  it("a start gets past the stale pid file and past children that do not notice", async (t) => {
    const dataDir = setup(t);
    const holder = hold(t, dataDir);
    const { url } = await holder.next();
    await query({ url: String(url) }, "create table kept as select 42 as answer");
    const busy = new pg.Client(String(url));
    busy.on("error", () => {});
    await busy.connect();
    const [child] = (await busy.query("select pg_backend_pid() as pid")).rows;
    const pid = serverPid(dataDir);
    assert(pid);
    process.kill(child.pid, "SIGSTOP");
    await killAndWait(holder.child);
    process.kill(pid, "SIGKILL");
    await until(() => !isAlive(pid), { timeoutMs: 5_000 });
    assert(existsSync(path.join(dataDir, "postmaster.pid")));

    const server = await startEmbeddedPostgres({ dataDir });
    t.after(() => server.stop());
    assert.equal(isAlive(child.pid), false);
    assert.deepEqual(await query(server, "select answer from kept"), [{ answer: 42 }]);
  });

  it("a start is not fooled by a stale pid file that names a living stranger", async (t) => {
    const dataDir = setup(t);
    const first = await startEmbeddedPostgres({ dataDir });
    const file = path.join(dataDir, "postmaster.pid");
    const text = readFileSync(file, "utf8");
    await first.stop();
    const stranger = spawn("sleep", ["60"]);
    t.after(() => stranger.kill("SIGKILL"));
    writeFileSync(file, text.replace(/^\d+/, String(stranger.pid)));
    const server = await startEmbeddedPostgres({ dataDir });
    t.after(() => server.stop());
    assert.equal(server.attached, false);
    assert.equal(isAlive(stranger.pid ?? 0), true);
  });
});

describe("stopping", () => {
  it("is not caused by Ctrl-C before node has drained", async (t) => {
    const dataDir = setup(t);
    const holder = hold(t, dataDir);
    await holder.next();
    process.kill(-holder.pid, "SIGINT");
    assert.deepEqual(await holder.next(), { drained: 1 });
    assert.deepEqual(await holder.next(), { stopped: true });
    assert.equal(serverPid(dataDir), undefined);
  });

  it("turns from fast to immediate when a session does not end", { timeout: 30_000 }, async (t) => {
    const dataDir = setup(t);
    const server = await startEmbeddedPostgres({ dataDir });
    const client = new pg.Client(server.url);
    client.on("error", () => {});
    await client.connect();
    const { rows } = await client.query("select pg_backend_pid() as pid");
    process.kill(rows[0].pid, "SIGSTOP");
    await server.stop();
    assert.equal(serverPid(dataDir), undefined);
    const again = await startEmbeddedPostgres({ dataDir });
    assert.deepEqual(await query(again, "select 1 as one"), [{ one: 1 }]);
    await again.stop();
  });
});

describe("a folder that cannot be used", () => {
  it("of another major version is refused, with what to do, and left alone", async (t) => {
    const dataDir = setup(t);
    mkdirSync(dataDir);
    writeFileSync(path.join(dataDir, "PG_VERSION"), "16\n");
    await assert.rejects(startEmbeddedPostgres({ dataDir }), (error: Error & { code: string }) => {
      assert.equal(error.code, "ERR_EMBEDDED_WRONG_VERSION");
      assert.match(error.message, /made by PostgreSQL 16.*pg_dumpall.*DATABASE_URL/s);
      return true;
    });
  });

  it("with other things in it is refused", async (t) => {
    const dataDir = setup(t);
    mkdirSync(dataDir);
    writeFileSync(path.join(dataDir, "holiday.jpg"), "");
    await assert.rejects(startEmbeddedPostgres({ dataDir }), {
      code: "ERR_EMBEDDED_FOLDER_NOT_OURS",
    });
  });

  it("shows PostgreSQL's own words when it does not start", async (t) => {
    const dataDir = setup(t);
    await assert.rejects(
      startEmbeddedPostgres({ dataDir, settings: { shared_buffers: "1 parsec" } }),
      /invalid value for parameter "shared_buffers"/,
    );
  });
});

describe("as root", { skip: !isRoot && "needs root" }, () => {
  it("works below a folder that only root may enter", async (t) => {
    const dataDir = setup(t, 0o700);
    const server = await startEmbeddedPostgres({ dataDir });
    t.after(() => server.stop());
    assert.deepEqual(await query(server, "select 1 as one"), [{ one: 1 }]);
    const status = readFileSync(`/proc/${serverPid(dataDir)}/status`, "utf8");
    // The one capability that passes closed folders, and nothing else of root.
    assert.match(status, /^CapEff:\s*0*4$/m);
    assert.doesNotMatch(status, /^Uid:\s*0/m);
  });

  const skip = !ordinaryCanRun && "an ordinary user cannot enter this checkout";

  it("serves a folder of an ordinary user, who can use it again", { skip }, async (t) => {
    const dataDir = setup(t, 0o777);
    const holder = hold(t, dataDir, ordinary);
    const said = await holder.next();
    assert.equal(said["error"], undefined, String(said["message"]));
    assert.equal(statSync(dataDir).uid, ordinary.uid);
    holder.child.stdin?.write("stop\n");
    assert.deepEqual(await holder.next(), { stopped: true });

    const server: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir });
    assert.equal(statSync(`/proc/${serverPid(dataDir)}`).uid, ordinary.uid);
    await server.stop();

    const again = hold(t, dataDir, ordinary);
    assert.equal((await again.next())["url"], said["url"]);
    again.child.stdin?.write("stop\n");
    await again.next();
  });

  it("tells an ordinary user that the folder belongs to somebody else", { skip }, async (t) => {
    const dataDir = setup(t, 0o777);
    const server = await startEmbeddedPostgres({ dataDir });
    t.after(() => server.stop());
    const holder = hold(t, dataDir, ordinary);
    assert.equal((await holder.next())["error"], "ERR_EMBEDDED_FOLDER_NOT_OURS");
  });
});
