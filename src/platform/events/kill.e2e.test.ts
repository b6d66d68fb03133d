import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { after, test } from "node:test";
import { seededRandom } from "../../kernel/random.ts";
import { type LogFixture, numbered, setup, until } from "./events.fixture.ts";

const readers: ChildProcess[] = [];
after(() => {
  for (const reader of readers) reader.kill("SIGKILL");
});

async function startReader(log: LogFixture): Promise<ChildProcess> {
  const script = new URL("./reader.fixture.ts", import.meta.url).pathname;
  const reader = spawn(process.execPath, [script, JSON.stringify(log.database.urls)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  readers.push(reader);
  await once(reader.stdout as NodeJS.ReadableStream, "data");
  return reader;
}

async function assertOnceInOrder(log: LogFixture, streams: number, perStream: number) {
  const effects = await log.effects();
  assert.equal(effects.length, streams * perStream);
  for (let stream = 0; stream < streams; stream++) {
    const numbers = effects.filter((e) => e.stream === `s${stream}`).map(({ n }) => n);
    assert.deepEqual(
      numbers,
      Array.from({ length: perStream }, (_, index) => index + 1),
    );
  }
}

test("kill -9 of readers under load loses, doubles and reorders nothing", async () => {
  await using log = await setup();
  const random = seededRandom(5);
  const [streams, perStream] = [10, 60];
  let alive = [await startReader(log), await startReader(log)];
  for (let n = 1; n <= perStream; n++) {
    await log.append(Array.from({ length: streams }, (_, stream) => numbered(`s${stream}`, n)));
    if (n % 15 !== 0) continue;
    const victim = alive[Math.floor(random() * alive.length)] as ChildProcess;
    victim.kill("SIGKILL");
    alive = [...alive.filter((reader) => reader !== victim), await startReader(log)];
  }
  const total = streams * perStream;
  await until("all effects", async () => (await log.effects()).length >= total, 15_000);
  await assertOnceInOrder(log, streams, perStream);
});

test("a stopped reader is taken over, and what it does when it goes on is refused", async () => {
  await using log = await setup();
  const [streams, perStream] = [10, 20];
  const paused = await startReader(log);
  const append = (n: number) =>
    log.append(Array.from({ length: streams }, (_, stream) => numbered(`s${stream}`, n)));
  for (let n = 1; n <= 10; n++) {
    await append(n);
    if (n === 5) paused.kill("SIGSTOP");
  }
  const other = await startReader(log);
  await until("the takeover", async () => (await log.effects()).length >= streams * 10, 15_000);
  paused.kill("SIGCONT");
  for (let n = 11; n <= perStream; n++) await append(n);
  const total = streams * perStream;
  await until("all effects", async () => (await log.effects()).length >= total, 15_000);
  await assertOnceInOrder(log, streams, perStream);
  other.kill("SIGKILL");
});
