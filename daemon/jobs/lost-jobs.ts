/**
 * Jobs that a lost connection cut. Their relay may have gone too, so the next one is told of each once: the hold of the
 * consumer is then released at once instead of when it expires.
 */

import type { DaemonMessage, Job } from "../../protocol/daemon/messages.ts";
import type { Channel } from "./channel.ts";

/** As many as can run at once on the largest daemon, at half a KiB each with their tickets. */
const MOST_KEPT = 1_024;
const MESSAGE = "The connection to the relay was lost before the job had ended.";

export class LostJobs {
  readonly #channel: () => Channel | null;
  /** In memory alone: a daemon that was started anew knows no running jobs, and their holds expire. */
  #untold: DaemonMessage[] = [];
  readonly #emptied: (() => void)[] = [];

  /** `channel` is the connection that is up now. */
  constructor(channel: () => Channel | null) {
    this.#channel = channel;
  }

  /** Tells of a job at once where there is a connection again, else after the next `welcome`. */
  add({ job, ticket }: Job): void {
    this.#untold.push({ type: "failed", job, ticket, code: "connection_lost", message: MESSAGE });
    // The oldest holds are the ones that expire first.
    this.#untold = this.#untold.slice(-MOST_KEPT);
    this.tell();
  }

  /** Tells of every job that was not told of yet. */
  tell(): void {
    const channel = this.#channel();
    if (channel === null) return;
    this.#untold = this.#untold.filter((message) => !channel.send(message));
    if (this.#untold.length === 0) for (const resolve of this.#emptied.splice(0)) resolve();
  }

  /** Resolves when all were told of. */
  async empty(): Promise<void> {
    if (this.#untold.length > 0) await new Promise<void>((resolve) => this.#emptied.push(resolve));
  }
}
