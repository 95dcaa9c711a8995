/** The whole Worker on a real port, whose process a test can kill and start again over the same state. */

import { join } from "node:path";
import { readD1Migrations } from "@cloudflare/vitest-plugin";
import { schedulerName } from "../../../../protocol/internal/names.ts";
import type { Supply } from "../../../../protocol/internal/pool.ts";
import { temporaryFolder } from "../../support/children.ts";
import { ROOT } from "../../support/server.ts";
import type { Fault } from "../edge/points.ts";
import type { Pending } from "../edge/worker.ts";
import { bundleMortal } from "./bundle.ts";
import { Life, type LifeOptions } from "./life.ts";
import { QueueMemory } from "./queue-memory.ts";

type Place = Pick<LifeOptions, "folder" | "script" | "vars">;

export class MortalServer {
  readonly url: URL;
  readonly #place: Place;
  readonly #queue: QueueMemory;
  #life: Life;
  #aheadMs = 0;

  private constructor(place: Place, queue: QueueMemory, life: Life) {
    this.#place = place;
    this.#queue = queue;
    this.#life = life;
    this.url = life.url;
  }

  /** `vars` are given to the Worker beside those of every test. */
  static async start(vars: Record<string, string> = {}): Promise<MortalServer> {
    const folder = await temporaryFolder();
    const place = { folder, script: await bundleMortal(folder), vars };
    const queue = new QueueMemory();
    const life = await Life.begin({ ...place, queue, port: 0, clock: { aheadMs: 0, movedMs: 0 } });
    const db = await life.db();
    for (const { queries } of await readD1Migrations(join(ROOT, "d1-migrations"))) {
      await db.batch(queries.map((sql) => db.prepare(sql)));
    }
    return new MortalServer(place, queue, life);
  }

  /** Nothing stands before the Worker. */
  get direct(): URL {
    return this.url;
  }

  /** The process that runs now, or ran last. */
  get life(): Life {
    return this.#life;
  }

  /** Messages that the queue has and that its consumer has not acknowledged. */
  get queued(): number {
    return this.#queue.messages.length;
  }

  /** Ends the process, and starts another one over its state, with its clock moved on. */
  async restart({ moveClockMs = 0 } = {}): Promise<void> {
    await this.close();
    this.#aheadMs += moveClockMs;
    const clock = { aheadMs: this.#aheadMs, movedMs: moveClockMs };
    this.#life = await Life.begin({ ...this.#place, queue: this.#queue, port: Number(this.url.port), clock });
    for (const message of this.#queue.messages) await this.#post("/kills/deliver", message);
  }

  async close(): Promise<void> {
    this.#life.kill();
    await this.#life.ended;
  }

  /** Kills the process when it reaches a point. */
  async arm(fault: Fault): Promise<void> {
    await this.#post("/kills/arm", JSON.stringify(fault));
  }

  /** Lets nobody pass a point until {@link release}. */
  async hold(point: string): Promise<void> {
    await this.#post("/kills/hold", JSON.stringify(point));
  }

  async release(): Promise<void> {
    await this.#post("/kills/hold", "null");
  }

  /** Lets the next call fail that comes to a point. */
  async breakOnce(point: string): Promise<void> {
    await this.#post("/kills/break", point);
  }

  /** What an account has to do yet. Wakes it. */
  async pending(account: string): Promise<Pending> {
    return (await (await this.#post("/kills/pending", account)).json()) as Pending;
  }

  /** Takes the memory of a model's pool away; nothing else dies. */
  async losePool(model: string): Promise<void> {
    await this.#post("/kills/lose", schedulerName("local", model));
  }

  /** What a model's pool has. */
  async supply(model: string): Promise<Supply> {
    return (await (await this.#post("/kills/supply", schedulerName("local", model))).json()) as Supply;
  }

  /** Rows of D1, asked in a way that wakes no object. */
  async rows<T>(sql: string, ...values: readonly unknown[]): Promise<T[]> {
    return (await (await this.#post("/kills/rows", JSON.stringify({ sql, values }))).json()) as T[];
  }

  /** Lets the clock poke the Worker. */
  async poke(): Promise<void> {
    await this.#post("/kills/poke", "");
  }

  /** Begins to note the points that are passed. */
  async record(): Promise<void> {
    await this.#post("/kills/record", "");
  }

  async #post(path: string, body: string): Promise<Response> {
    const response = await fetch(new URL(path, this.url), { method: "POST", body });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return response;
  }
}
