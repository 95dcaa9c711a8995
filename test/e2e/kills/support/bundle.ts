/** The Worker with points at which it can be ended: an entry module puts them around the Worker as it is. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bundle, ROOT } from "../../../../bench/servers/bundle.ts";

/** A transfer that did not arrive is brought again after this long: no later than a test waits, and not while it is asked for. */
export const TRANSFER_RETRY_MS = 500;

/**
 * A receipt waits for no others on its way to the queue, as a test waits for each. The other bounds are so long that no job
 * meets them however slow the machine is, so that it passes the same points every time.
 */
const CHANGED_LIMITS = {
  queueFlushMs: 10,
  transferRetryMs: TRANSFER_RETRY_MS,
  leaseReportMs: 60_000,
  leaseMs: 60_000,
  acceptMs: 60_000,
  claimAfterCancelMs: 60_000,
  emptyPoolMs: 60_000,
  // The chain of a test is faster than a real one.
  x402PollMs: 50,
};

/** Bundles it into a folder and gives its script. */
export async function bundleMortal(folder: string): Promise<string> {
  const file = (path: string) => JSON.stringify(join(ROOT, path));
  const edge = (name: string) => file(`test/e2e/kills/edge/${name}`);
  const classes = ["Account", "AccountSlice", "Relay", "Scheduler"];
  const entry = join(folder, "entry", "entry.ts");
  await mkdir(join(folder, "entry"), { recursive: true });
  await writeFile(
    entry,
    `import { env } from "cloudflare:workers";
import { LIMITS } from ${file("core/limits.ts")};
import worker, { ${classes.map((name) => `${name} as Plain${name}`).join(", ")} } from ${file("workers/index.ts")};
import { setClock } from ${edge("clock.ts")};
import { mortal, watchSockets, withPoints } from ${edge("worker.ts")};
setClock(Number(env.CLOCK_AHEAD_MS), Number(env.CLOCK_MOVED_MS));
Object.assign(LIMITS, ${JSON.stringify(CHANGED_LIMITS)});
watchSockets(WebSocket.prototype);
${classes.map((name) => `export const ${name} = mortal("${name}", Plain${name});`).join("\n")}
export default withPoints(worker);
`,
  );
  return await bundle(join(folder, "bundle"), entry);
}
