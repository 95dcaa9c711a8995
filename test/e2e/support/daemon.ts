/** Real daemons: `tollmill daemon` in a process of its own, watched through its log. */

import { join } from "node:path";
import { NodeProcess, temporaryFolder } from "./children.ts";
import type { Network, NetworkServer, TestAccount } from "./network.ts";
import { ROOT } from "./server.ts";

export const CLI = join(ROOT, "daemon", "bin", "tollmill.mjs");

/** The embedded engine on the toy model, as `npm start` runs it. */
const TOY_ENGINE = ["--model", join(ROOT, "localnet", "model", "tiny-miller.gguf"), "--gpu", "off", "--threads", "1"];

/** A line of a daemon's log. */
export interface LogEvent {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

interface DaemonOptions {
  /** Flags that name its engine; the embedded one on the toy model unless they say otherwise. */
  readonly engine?: readonly string[];
  /** Where it keeps its key and its claims; a new folder unless it says otherwise. */
  readonly home?: string;
  /** A program that starts it. */
  readonly through?: readonly string[];
}

export class Daemon extends NodeProcess {
  readonly home: string;

  private constructor(
    network: Network<NetworkServer>,
    owner: TestAccount,
    home: string,
    { engine = [], through }: DaemonOptions,
  ) {
    const flags = ["--json", "--url", network.url, "--home", home, "--name", "test", "--watts", "10"];
    const env = { TOLLMILL_API_KEY: owner.apiKey };
    super([CLI, "daemon", ...flags, ...engine], { env, ...(through === undefined ? {} : { through }) });
    this.home = home;
  }

  static async start(
    network: Network<NetworkServer>,
    owner: TestAccount,
    options: DaemonOptions = {},
  ): Promise<Daemon> {
    const engine = [...TOY_ENGINE, "--context", "512"];
    return new Daemon(network, owner, options.home ?? (await temporaryFolder()), { engine, ...options });
  }

  get events(): LogEvent[] {
    return this.stderr
      .split("\n")
      .slice(0, -1)
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as LogEvent);
  }

  /** The first event of a name, optionally about one job. */
  event(name: string, job?: string): Promise<LogEvent> {
    return this.waitFor(`the event ${name}`, () =>
      this.events.find((entry) => entry.event === name && (job === undefined || entry["job"] === job)),
    );
  }

  /** The daemon's id, which its receipts name. */
  async id(): Promise<string> {
    return String((await this.event("key_made"))["daemon"]);
  }
}

/** Milliseconds from one event to another, by the daemon's own clock. */
export function between(first: LogEvent, second: LogEvent): number {
  return Date.parse(second.time) - Date.parse(first.time);
}
