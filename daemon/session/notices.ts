/** What the network tells whoever runs the daemon, in its log. A notice that has an id is told on every new connection. */

import type { Notice } from "../../protocol/daemon/messages.ts";
import type { Log } from "../output/log.ts";

/** Ids that are remembered: far more than operators send while a daemon runs. */
const MOST_IDS = 1_024;

export class Notices {
  readonly #log: Log;
  readonly #shown = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Writes a notice to the log, once for each id while the daemon runs. */
  show({ id, level, text }: Notice): void {
    if (id !== undefined) {
      if (this.#shown.has(id)) return;
      if (this.#shown.size >= MOST_IDS) this.#shown.clear();
      this.#shown.add(id);
    }
    this.#log[level]("message_from_network", { text });
  }
}
