/** The whole network of one run: real objects and a real log, with its consumers, machines and calls. */

import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { expect, vi } from "vitest";
import type { JobId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { crash, credit, openAccount, supply, type TestAccount } from "../job/network.ts";
import type { Attempt } from "./attempt.ts";
import { type Books, checkBooks, readBooks } from "./books.ts";
import { Call } from "./call.ts";
import { breathe, type Clock } from "./clock.ts";
import { History, type Part } from "./history.ts";
import { type Job } from "./job.ts";
import { Jobs } from "./jobs.ts";
import { Machine } from "./machine.ts";
import { Mail } from "./mail.ts";
import { accountStub, clearMarket, MACHINES, PURSES, poolStub, relayStub, SHARDS } from "./market.ts";
import { type Asked, MODEL } from "./prices.ts";
import { Wire } from "./wire.ts";

/** Real milliseconds without a sign of life after which the network is taken to be calm, and the most to wait for that. */
const CALM_MS = 2;
const MOST_CALM_MS = 40;
/** Snapshots as often as in months of a busy account. */
const SNAPSHOT_ENTRIES = 3;

const bounds: { snapshotEntries: number } = LIMITS;
const usual = { ...bounds };

export interface Credit {
  readonly id: string;
  readonly kind: "bonus" | "topup";
  /** In credits, or in USD. */
  readonly amount: string;
}

export interface Consumer {
  readonly owner: TestAccount;
  /** What it must have been given in the end, whatever happened to the calls that gave it. */
  readonly credits: Credit[];
  books: Books;
}

export class World {
  readonly clock: Clock;
  readonly history = new History();
  readonly mail = new Mail();
  readonly wire = new Wire();
  readonly consumers: Consumer[] = [];
  readonly machines: readonly Machine[];
  readonly calls: Call[] = [];
  readonly jobs = new Jobs(this.history, this.calls);
  /** Jobs that were still held when everybody had handed in what they knew of. */
  readonly forgotten: Job[] = [];
  /** What was seen and must never be; said at the next look. */
  readonly #faults: string[] = [];
  /** What was begun and not waited for. */
  readonly #loose = new Set<Promise<unknown>>();
  /** Accounts that may have changed since they were looked at. */
  readonly #touched = new Set<string>();
  #stirs = 0;
  /** Whether a grant may have been on its way when the pool was lost: its slot may then be sold once more. */
  #mayOversell = false;
  #calmAt = 0;

  private constructor(clock: Clock) {
    this.clock = clock;
    const change = (): void => void this.#stirs++;
    const job = (attempt: Attempt, machine: Machine, content: string): void => this.#offered(attempt, machine, content);
    const settled = (job: JobId): void => this.#settled(job);
    this.machines = MACHINES.map((options) => new Machine(options, this.history, { change, job, settled }));
    this.mail.intercept(change);
    this.wire.intercept({
      change: (account) => {
        change();
        this.#touched.add(account);
      },
      lost: (method) => {
        this.history.lost("account");
        // A gateway that waits to ask again has a grant in its hands that no relay knows of.
        if (method === "advance") this.#mayOversell = true;
      },
    });
    bounds.snapshotEntries = SNAPSHOT_ENTRIES;
  }

  /** A network with nothing in it from before, three consumers, and two machines that are connected. */
  static async open(clock: Clock): Promise<World> {
    await clearMarket();
    const world = new World(clock);
    await Promise.all([
      ...PURSES.map((purse, index) => world.#addConsumer(purse, index)),
      ...world.machines.slice(0, 2).map((machine) => machine.connect()),
    ]);
    await world.calm();
    await world.observe();
    return world;
  }

  async #addConsumer({ bonus, topup }: (typeof PURSES)[number], index: number): Promise<void> {
    const owner = await openAccount(false);
    const consumer: Consumer = { owner, credits: [], books: await readBooks(owner) };
    this.consumers[index] = consumer;
    await this.give(consumer, "bonus", bonus);
    if (topup !== null) await this.give(consumer, "topup", topup);
  }

  /** Ends everything of this run, whatever state it is in. */
  async close(): Promise<void> {
    for (const call of this.calls) if (call.ended === null) call.abort();
    for (const machine of this.machines) machine.disconnect();
    await Promise.race([Promise.all(this.#loose), breathe(MOST_CALM_MS)]);
    Object.assign(bounds, usual);
    vi.restoreAllMocks();
  }

  /** Goes on without waiting for something. What may break because a part is lost meanwhile is no error of the run. */
  loose(work: Promise<unknown>): void {
    const tracked = work.catch(() => {}).finally(() => this.#loose.delete(tracked));
    this.#loose.add(tracked);
  }

  /** Waits for all that was not waited for. */
  async caughtUp(): Promise<void> {
    while (this.#loose.size > 0) await Promise.all(this.#loose);
  }

  /** Waits until the relays have taken what was said to them, and nothing moves any more. */
  async calm(): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.echo()));
    let [seen, quiet] = [this.#stirs, 0];
    for (let waited = 0; quiet < CALM_MS && waited < MOST_CALM_MS; waited++) {
      await breathe(1);
      quiet = this.#stirs === seen ? quiet + 1 : 0;
      seen = this.#stirs;
    }
    this.#calmAt = this.#stirs;
  }

  /** Moves time on; unless in a hurry, after what was said before has been heard. */
  async pass(ms: number, hurry = false): Promise<void> {
    if (!hurry) await this.calm();
    await this.clock.pass(ms);
    for (const { owner } of this.consumers) this.#touched.add(owner.account);
  }

  call(consumer: number, asked: Asked): void {
    const { owner } = this.#consumer(consumer);
    this.#stirs += 1;
    this.calls.push(new Call(this.history, owner, asked, () => void this.#stirs++));
  }

  /** Credits a consumer, under a new id. */
  async give(consumer: Consumer, kind: Credit["kind"], amount: string): Promise<void> {
    const credit: Credit = { id: `credit-${consumer.credits.length}`, kind, amount };
    consumer.credits.push(credit);
    await this.giveAgain(consumer, credit);
  }

  async giveAgain({ owner }: Consumer, { id, kind, amount }: Credit): Promise<void> {
    this.#touched.add(owner.account);
    await credit(owner, kind, amount, id);
  }

  /** Takes a part's memory away. */
  async lose(part: Part, which: number): Promise<void> {
    this.#losing(part, which);
    if (part === "relay") for (const machine of this.#machinesOf(which)) machine.cut();
    await crash(this.#stubOf(part, which));
  }

  /** Lets a part sleep that has nothing to do; its sockets stay. */
  async sleep(part: Part, which: number): Promise<void> {
    this.#losing(part, which);
    const evicted = evictDurableObject(this.#stubOf(part, which)).catch(() => {});
    await Promise.race([evicted, breathe(MOST_CALM_MS)]);
  }

  #losing(part: Part, which: number): void {
    this.history.lost(part);
    if (part === "account") this.#touched.add(this.#consumer(which).owner.account);
    if (part === "scheduler" && this.#stirs !== this.#calmAt) this.#mayOversell = true;
  }

  /** Whether a part has nothing open that its sleep would have to wait for. */
  isIdle(part: Part, which: number): boolean {
    if (part === "account") return true;
    if (this.calls.some(({ ended }) => ended === null)) return false;
    return part === "scheduler" || this.#machinesOf(which).every((machine) => machine.running === 0);
  }

  #machinesOf(which: number): Machine[] {
    return this.machines.filter((machine) => machine.relay === `local/${which % SHARDS}`);
  }

  #stubOf(part: Part, which: number): DurableObjectStub {
    if (part === "relay") return relayStub(which % SHARDS);
    return part === "scheduler" ? poolStub() : accountStub(this.#consumer(which).owner);
  }

  #consumer(which: number): Consumer {
    return this.consumers[which % this.consumers.length] as Consumer;
  }

  /** Rings an account's alarm; false when none was set. */
  ring({ owner }: Consumer): Promise<boolean> {
    this.#touched.add(owner.account);
    return runDurableObjectAlarm(accountStub(owner));
  }

  supply(): ReturnType<typeof supply> {
    return supply(MODEL.id);
  }

  #offered(attempt: Attempt, machine: Machine, content: string): void {
    this.jobs.offered(attempt, content);
    if (machine.running > machine.slots && !this.#mayOversell) this.#faults.push("a slot was sold twice");
  }

  /** A daemon may forget its claim only when the queue has the receipt. */
  #settled(job: JobId): void {
    if (!this.mail.has(job)) this.#faults.push(`job ${job} was settled before the queue had its receipt`);
  }

  /** Looks at every account that may have changed, and holds it to what must be true at every moment. */
  async observe(): Promise<void> {
    expect(this.#faults).toEqual([]);
    const touched = this.consumers.filter(({ owner }) => this.#touched.delete(owner.account));
    const seen = await Promise.all(touched.map(({ owner }) => readBooks(owner)));
    for (const [index, consumer] of touched.entries()) {
      const books = seen[index] as Books;
      checkBooks(books);
      // What was once seen is never rewritten.
      expect(books.entries.slice(0, consumer.books.entries.length)).toEqual(consumer.books.entries);
      this.jobs.learn(books, consumer.books);
      consumer.books = books;
    }
  }
}
