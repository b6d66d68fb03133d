import { type HttpLoad, type HttpLoadReport, loadHttp } from "./http-load.ts";

/** What to ask for, over and over. */
export interface GetLoop extends HttpLoad {
  /** Paths, asked for in turn. */
  readonly paths: readonly string[];
}

/** Asks for paths in a closed loop; an answer other than 200 is an error. */
export function runGetLoop(loop: GetLoop): Promise<HttpLoadReport> {
  return loadHttp(loop, async (send, index) => {
    const path = loop.paths[index % loop.paths.length] ?? "/";
    const { status, body } = await send({ method: "GET", path });
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
  });
}

process.once("message", async (loop: GetLoop) => {
  process.send?.(await runGetLoop(loop));
});
