/** One process of the Worker, from its start to its death. */

import { join } from "node:path";
import type { D1Database, R2Bucket } from "@cloudflare/workers-types";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { PARAMETERS } from "../../../../core/parameters.ts";
import { CALM_MARKET } from "../../../calm-market.ts";
import { testSecrets } from "../../../secrets.ts";
import { descendantsOf } from "../../support/children.ts";
import { ROOT } from "../../support/server.ts";
import type { QueueMemory } from "./queue-memory.ts";

export interface LifeOptions {
  readonly script: string;
  /** Where the state is, which outlives the process. */
  readonly folder: string;
  /** 0 for any. */
  readonly port: number;
  /** How far the Worker's clock is ahead, and how much of that is new since the process before. */
  readonly clock: { readonly aheadMs: number; readonly movedMs: number };
  readonly queue: QueueMemory;
  /** What the Worker is given beside the variables of every test. */
  readonly vars: Readonly<Record<string, string>>;
}

/** Two, as a reversal takes two; the first one's key is that of other tests. */
export const SECOND_OPERATOR_KEY = "key-of-the-second";
const OPERATORS = `first:${testSecrets.ADMIN_KEY} second:${SECOND_OPERATOR_KEY}`;

const NAME = "mortal";
const HOST = "127.0.0.1";
/** Bytes on a socket and a commit take less than this. */
const EFFECT_MS = 20;
/** A test waits for single receipts; the platform would wait a second for more of them. */
const QUEUE_BATCH_SECONDS = 0.02;

export class Life {
  /** The points that were passed while they were recorded, in their order. */
  readonly passed: string[] = [];
  readonly #miniflare: Miniflare;
  readonly #ended = Promise.withResolvers<void>();
  #pids: readonly number[] = [];
  #url = new URL(`http://${HOST}`);
  #isOver = false;

  private constructor(options: LifeOptions) {
    this.#miniflare = new Miniflare(optionsOf(options, (line) => this.#hear(line)));
  }

  static async begin(options: LifeOptions): Promise<Life> {
    const others = new Set(descendantsOf(process.pid));
    const life = new Life(options);
    await life.#miniflare.ready;
    life.#pids = descendantsOf(process.pid).filter((pid) => !others.has(pid));
    if (life.#pids.length !== 1) throw new Error(`${life.#pids.length} processes were started, and not one`);
    life.#url = await life.#miniflare.unsafeGetDirectURL(NAME);
    return life;
  }

  get url(): URL {
    return this.#url;
  }

  /** Whether the process has been told to die, or has reached the point at which it had to. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves when the process is dead. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Ends the process with SIGKILL. */
  kill(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#end();
  }

  /** The Worker stands still at a point. What it has begun before is given the time to take effect, and then it dies. */
  #reached(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    setTimeout(() => this.#end(), EFFECT_MS);
  }

  #end(): void {
    for (const pid of this.#pids) process.kill(pid, "SIGKILL");
    // In the same turn: Miniflare starts a runtime again that has ended without its doing.
    this.#ended.resolve(this.#miniflare.dispose());
  }

  #hear(line: string): void {
    const [, what, point = ""] = /^(passed|reached) (.*)$/.exec(line) ?? [];
    if (what === "passed") this.passed.push(point);
    else if (what === "reached") this.#reached();
    else console.log(line);
  }

  db(): Promise<D1Database> {
    return this.#miniflare.getD1Database("DB");
  }

  segments(): Promise<R2Bucket> {
    return this.#miniflare.getR2Bucket("SEGMENTS") as unknown as Promise<R2Bucket>;
  }
}

function optionsOf({ script, folder, port, clock, queue, vars }: LifeOptions, onLine: (line: string) => void) {
  // wrangler looks for the secrets that wrangler.toml requires in the environment.
  Object.assign(process.env, testSecrets);
  const { assets: _, ...worker } = unstable_getMiniflareWorkerOptions(join(ROOT, "wrangler.toml")).workerOptions;
  const settings = {
    ...testSecrets,
    ADMIN_KEY: OPERATORS,
    // A job is cancelled before its first token and for nothing, however slow the machine is.
    TOLLMILL_PARAMETERS: JSON.stringify({ ...CALM_MARKET, freeCancelMs: PARAMETERS.freeCancelMs.max }),
    CLOCK_AHEAD_MS: String(clock.aheadMs),
    CLOCK_MOVED_MS: String(clock.movedMs),
    ...vars,
  };
  const consumers = Object.entries(worker.queueConsumers ?? {}) as [name: string, consumer: object][];
  return convertV4MiniflareOptions({
    host: HOST,
    port: 0,
    resourcePersistencePath: join(folder, "state"),
    handleStructuredLogs: ({ message }) => onLine(message),
    workers: [
      {
        ...worker,
        name: NAME,
        modules: [{ type: "ESModule", path: join(folder, "index.mjs"), contents: script }],
        modulesRoot: folder,
        bindings: Object.assign({}, worker.bindings, settings),
        serviceBindings: { HARNESS: queue.service },
        queueConsumers: Object.fromEntries(
          consumers.map(([name, consumer]) => [name, { ...consumer, maxBatchTimeout: QUEUE_BATCH_SECONDS }]),
        ),
        unsafeDirectSockets: [{ host: HOST, port }],
      },
    ],
  });
}
