/** Heaps of the runtime's isolates, read over V8's inspector. */

import { WebSocket } from "ws";
import { z } from "zod";

export interface Heaps {
  /** Bytes in use by the Worker's isolate after a collection, so that garbage does not count. */
  readonly liveBytes: number | null;
  /** The heaps of all other isolates: the local runtime's own queue, D1 and R2, which a deployment does not have. */
  readonly simulatorBytes: number;
}

interface Usage {
  readonly usedSize: number;
  readonly totalSize: number;
  readonly backingStorageSize: number;
}

const targets = z.array(z.object({ id: z.string(), webSocketDebuggerUrl: z.string() }));

/** A busy isolate answers late. */
const ANSWER_MS = 5_000;
const POKE_MS = 100;

/**
 * Reads the heaps. `inspector` is the address of the Worker's isolate; `poke` sends the Worker a request, since an isolate
 * that sleeps collects only when it is called. Null and 0 stand for what did not answer in time.
 */
export async function readHeaps(inspector: string, poke: () => Promise<unknown>): Promise<Heaps> {
  const url = new URL("/json", inspector.replace("ws:", "http:"));
  const others = targets.parse(await (await fetch(url)).json()).filter((target) => !inspector.endsWith(target.id));
  const poking = setInterval(() => void poke().catch(() => {}), POKE_MS);
  try {
    const [own, ...usages] = await Promise.all([
      ask(inspector, true),
      ...others.map(({ webSocketDebuggerUrl }) => ask(webSocketDebuggerUrl, false)),
    ]);
    const sizes = usages.map((usage) => (usage === null ? 0 : usage.totalSize + usage.backingStorageSize));
    return { liveBytes: own?.usedSize ?? null, simulatorBytes: sizes.reduce((sum, size) => sum + size, 0) };
  } finally {
    clearInterval(poking);
  }
}

async function ask(inspector: string, collected: boolean): Promise<Usage | null> {
  const socket = new WebSocket(inspector);
  const deadline = setTimeout(() => socket.terminate(), ANSWER_MS);
  try {
    return await new Promise<Usage | null>((resolve) => {
      const send = (id: number, method: string) => socket.send(JSON.stringify({ id, method }));
      socket.on("error", () => resolve(null));
      socket.on("close", () => resolve(null));
      socket.on("open", () => (collected ? send(1, "HeapProfiler.collectGarbage") : send(2, "Runtime.getHeapUsage")));
      socket.on("message", (data: Buffer) => {
        const { id, result } = JSON.parse(data.toString()) as { id?: number; result?: Usage };
        if (id === 1) send(2, "Runtime.getHeapUsage");
        if (id === 2) resolve(result ?? null);
      });
    });
  } finally {
    clearTimeout(deadline);
    socket.close();
  }
}
