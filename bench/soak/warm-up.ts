/**
 * What a process does in its first minutes it does not do again: SQLite fills its caches, V8 and the allocator grow to what
 * a full load needs, and so do the heaps of the local stand-ins for queue, D1 and R2. At the soak's own pace that takes half
 * an hour; at full speed two minutes.
 */

import { bodyFor } from "../engine/answer.ts";
import type { LoadCall, LoadResult } from "../load.ts";
import { Child } from "../processes/calls.ts";
import { type Consumer, MODEL } from "../servers/network.ts";

const CLIENTS = 64;
const PLAN = { tokens: 16, piece: 16, every: 0 };

/** Asks for so many short answers as fast as they come, paid for by these consumers. Throws when one of them fails. */
export async function warmUp(origin: string, consumers: readonly Consumer[], jobs: number): Promise<void> {
  const load = new Child("load.ts");
  try {
    const { errors, error } = await load.call<LoadResult>("run", {
      url: `${origin}/v1/chat/completions`,
      method: "POST",
      headers: consumers.map(({ apiKey }) => ({ authorization: `Bearer ${apiKey}` })),
      body: bodyFor(MODEL, PLAN, true),
      stream: true,
      clients: CLIENTS,
      spreadMs: 0,
      seconds: 0,
      warmUpSeconds: 0,
      jobsEach: Math.ceil(jobs / CLIENTS),
      pid: null,
    } satisfies LoadCall);
    if (errors > 0) throw new Error(`${errors} calls of the warm-up failed: ${error}`);
  } finally {
    await load.stop();
  }
}
