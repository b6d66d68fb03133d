import { once } from "node:events";
import net from "node:net";

/** Finds so many ports in a row that nobody on this machine listens on now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const first = await tryPort(0);
    const rest = await Promise.all(
      Array.from({ length: count - 1 }, (_, index) => tryPort((first ?? 0) + 1 + index)),
    );
    const ports = [first, ...rest];
    if (ports.every((port) => port !== undefined)) return ports;
  }
  throw new Error(`found no ${count} free ports in a row`);
}

async function tryPort(port: number): Promise<number | undefined> {
  const server = net.createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as net.AddressInfo).port;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}
