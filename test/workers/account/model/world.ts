/** Accounts that the model plays on, and what it was told of them: each answer that a caller got. */

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, vi } from "vitest";
import type { JobId, KeyId } from "../../../../core/ids.ts";
import { hashText } from "../../../../core/receipt/canonical.ts";
import type { CreditCommand, HeldTerms, SendCommand } from "../../../../protocol/internal/account.ts";
import { idOf } from "../../../support/receipts.ts";
import { type Bank, bankOf, creditOf, factsOf, holdOf, inside, openBank } from "../bank.ts";
import { ACCOUNTS, type Fate, type Step, type StepOf } from "./steps.ts";

/** What the key of an application may spend in a day: less than one large job. */
export const APP_BUDGET = 60_000;
/** Few, as lives are short: jobs beyond them may come about. */
export const PACKAGE_SLOTS = 1;
const CROWD = 5;
const MOST_TRIES = 4;

export interface Job {
  readonly job: JobId;
  readonly who: number;
  readonly app: boolean;
  readonly terms: HeldTerms;
  fence: number;
  /** The texts of its receipt and of that one's reversal. */
  receipt: string | null;
  reversal: string | null;
  voided: boolean;
}

let worlds = 0;

export class World {
  readonly #name = `model ${worlds++}`;
  readonly jobs: Job[] = [];
  readonly credits: (CreditCommand & { readonly who: number; readonly seq: number })[] = [];
  readonly sent: SendCommand[] = [];
  /** What happened, to see that runs reach everything. */
  readonly reached = new Set<string>();
  readonly #appSecret = new Map<number, string>();
  #next = 0;

  static async open(): Promise<World> {
    const world = new World();
    for (let who = 0; who < ACCOUNTS; who++) {
      await openBank({ name: world.#nameOf(who) });
      await world.#makeApp(who);
    }
    return world;
  }

  /** Made anew for each use: what spoke to a lost object stays broken. */
  bank(who: number): Bank {
    return bankOf(this.#nameOf(who));
  }

  indexOf(account: string): number {
    return Array.from({ length: ACCOUNTS }, (_, who) => this.bank(who).account as string).indexOf(account);
  }

  appKey(who: number): KeyId {
    return idOf(`app of ${this.#nameOf(who)}`) as unknown as KeyId;
  }

  async perform(step: Step): Promise<void> {
    switch (step.do) {
      case "credit":
        return await this.#credit(step);
      case "hold":
        return await this.#hold(step);
      case "post":
        return await this.#post(step);
      case "void":
        return await this.#void(step);
      case "advance":
        return await this.#advance(step);
      case "reverse":
        return await this.#reverse(step);
      case "send":
        return await this.#send(step);
      case "bring":
        return await this.#bring(step);
      case "key":
        return await this.#key(step);
      case "alarm":
        await runDurableObjectAlarm(this.bank(step.who).stub);
        return;
      case "evict":
        return await evict(this.bank(step.who));
      case "wait":
        vi.setSystemTime(Date.now() + step.ms);
    }
  }

  /** Until every transfer has arrived. */
  async rest(): Promise<void> {
    for (let who = 0; who < ACCOUNTS; who++) {
      await evict(this.bank(who));
      await runDurableObjectAlarm(this.bank(who).stub);
    }
  }

  #nameOf(who: number): string {
    return `${this.#name}, account ${who}`;
  }

  /** Asks until there is an answer. Everybody who asks for the same is told the same. */
  async #ask<T>(who: number, fate: Fate, call: (bank: Bank) => Promise<T>): Promise<T> {
    const bank = this.bank(who);
    if (fate === "crowd") {
      const [first, ...others] = await Promise.all(Array.from({ length: CROWD }, () => call(bank)));
      for (const other of others) expect(essence(other)).toEqual(essence(first));
      return first as T;
    }
    if (fate === "unanswered") {
      await call(bank);
      await evict(bank);
    }
    if (fate === "aborted") {
      const call1 = Promise.resolve(call(bank)).catch(() => null);
      await runInDurableObject(bank.stub, (_object, state) => state.abort("lost")).catch(() => {});
      await call1;
    }
    if (fate === "unwritable") {
      await setWritable(bank, false);
      await Promise.resolve(call(bank)).catch(() => null);
      await setWritable(this.bank(who), true);
    }
    return await this.#again(who, call);
  }

  async #again<T>(who: number, call: (bank: Bank) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await call(this.bank(who));
      } catch (error) {
        if (tries === MOST_TRIES) throw error;
      }
    }
  }

  async #credit({ who, fate, kind, backing, amount, lives }: StepOf<"credit">): Promise<void> {
    const expiresAt = lives === null ? null : Date.now() + lives;
    const concurrency = kind === "package" ? PACKAGE_SLOTS : 2;
    const command = creditOf({ id: `c-${this.#next++}`, kind, backing, amount, expiresAt, concurrency });
    const result = await this.#ask(who, fate, (bank) => bank.rpc.credit(command));
    if (result.type !== "credited") throw new Error(result.refusal.code);
    this.credits.push({ ...command, who, seq: result.seq });
    this.reached.add(`credited ${kind} ${backing}`);
  }

  async #hold({ who, fate, app, lane, completion, allowPaid, lives }: StepOf<"hold">): Promise<void> {
    const secretHash = app ? this.#appSecret.get(who) : undefined;
    const request = holdOf(this.bank(who), {
      ...(secretHash === undefined ? {} : { credentials: { secretHash } }),
      lane,
      lanes: ["included", "dedicated", "private", "public", "league"],
      completion,
      allowPaid,
      expiresAt: Date.now() + lives,
    });
    const result = await this.#ask(who, fate, (bank) => bank.rpc.hold(request));
    this.reached.add(result.type === "held" ? `held ${result.lane}` : `hold: ${result.refusal.code}`);
    if (result.type !== "held") return;
    if (result.lane === "dedicated") this.reached.add(result.reserved ? "held in a slot" : "held beyond the slots");
    const { job } = request;
    this.jobs.push({ job, who, app, terms: result, fence: 1, receipt: null, reversal: null, voided: false });
  }

  async #post({ which, fate, outcome, completion, late }: StepOf<"post">): Promise<void> {
    const job = pick(this.jobs, which);
    if (job === undefined) return;
    const fence = late ? job.fence - 1 : job.fence;
    if (fence < 1) return;
    const facts = { ...factsOf(job.job, { prompt: 0, completion }, outcome), lane: job.terms.lane, fence };
    const result = await this.#ask(job.who, fate, (bank) => bank.rpc.post(facts));
    this.reached.add(result.type === "posted" ? `posted ${outcome}` : `post: ${result.reason}`);
    if (result.type === "posted") {
      // A job has one receipt, whatever its later ones say.
      expect(result.body).toBe(job.receipt ?? result.body);
      expect(job.voided).toBe(false);
      job.receipt = result.body;
    } else if (result.reason === "voided") expect(job.receipt).toBeNull();
  }

  async #void({ which, fate, late }: StepOf<"void">): Promise<void> {
    const job = pick(this.jobs, which);
    if (job === undefined) return;
    const fence = late ? job.fence - 1 : job.fence;
    const result = await this.#ask(job.who, fate, (bank) => bank.rpc.void(job.job, "test", fence));
    this.reached.add(`void: ${result.type}`);
    if (result.type === "voided") {
      expect(job.receipt).toBeNull();
      job.voided = true;
    }
    if (result.type === "already_posted") expect(result.body).toBe(job.receipt);
  }

  async #advance({ which, fate }: StepOf<"advance">): Promise<void> {
    const job = pick(this.jobs, which);
    if (job === undefined) return;
    const advanced = await this.#ask(job.who, fate, (bank) => bank.rpc.advance(job.job, job.fence + 1));
    if (advanced) job.fence++;
    this.reached.add(`advanced: ${advanced}`);
  }

  async #reverse({ which, fate }: StepOf<"reverse">): Promise<void> {
    const job = pick(this.jobs, which);
    if (job === undefined) return;
    const command = { job: job.job, reason: "test", by: ["alice", "bob"] };
    const result = await this.#ask(job.who, fate, (bank) => bank.rpc.reverse(command));
    this.reached.add(result.type === "reversed" ? "reversed" : `reverse: ${result.refusal.code}`);
    if (result.type !== "reversed") return;
    expect(job.receipt).not.toBeNull();
    expect(result.body).toBe(job.reversal ?? result.body);
    job.reversal = result.body;
  }

  async #send({ who, to, fate, amount, away }: StepOf<"send">): Promise<void> {
    const [from, other] = [this.bank(who), this.bank(to)];
    const command: SendCommand = {
      id: `t-${this.#next++}`,
      from: from.account,
      to: other.account,
      millicredits: amount as never,
      memo: "",
    };
    // Where the other account cannot write, the transfer stays on its way.
    if (away && who !== to) await setWritable(other, false);
    const result = await this.#ask(who, fate, (bank) => bank.rpc.send(bank.credentials, command));
    if (away && who !== to) await setWritable(this.bank(to), true);
    this.reached.add(result.type === "sent" ? `sent, delivered: ${result.delivered}` : `send: ${result.refusal.code}`);
    if (result.type === "sent") this.sent.push(command);
  }

  /** A transfer that arrives again, as after a confirmation that was lost. */
  async #bring({ which, fate }: StepOf<"bring">): Promise<void> {
    const command = pick(this.sent, which);
    if (command === undefined) return;
    const { to, ...transfer } = command;
    const result = await this.#ask(this.indexOf(to), fate, (bank) => bank.rpc.receive(transfer));
    expect(result.type).toBe("credited");
    this.reached.add("brought again");
  }

  async #key({ who, fate, change }: StepOf<"key">): Promise<void> {
    const [id, n] = [this.appKey(who), this.#next++];
    const secretHash = hashText(`secret ${n} of ${this.#nameOf(who)}`);
    const made = await this.#ask<{ readonly ok: boolean }>(who, fate, ({ rpc, credentials }) => {
      if (change === "create") {
        const key = { id: idOf(`key ${n} of ${this.#nameOf(who)}`) as unknown as KeyId, name: "other", secretHash };
        return rpc.createKey(credentials, key);
      }
      if (change === "update") return rpc.updateKey(credentials, id, { name: `app ${n}` });
      if (change === "rotate") return rpc.rotateKey(credentials, id, { id: `r-${n}`, secretHash, overlapMs: 0 });
      return rpc.revokeKey(credentials, id);
    });
    if (change === "rotate" && made.ok) this.#appSecret.set(who, secretHash);
    this.reached.add(`key: ${change} ${made.ok}`);
  }

  async #makeApp(who: number): Promise<void> {
    const { rpc, credentials } = this.bank(who);
    const secretHash = hashText(`app of ${this.#nameOf(who)}`);
    const budget = { nanoUsd: APP_BUDGET as never, reset: "daily" } as const;
    await rpc.createKey(credentials, { id: this.appKey(who), name: "app", secretHash, budget });
    this.#appSecret.set(who, secretHash);
  }
}

function pick<T>(list: readonly T[], which: number): T | undefined {
  return list[which % Math.max(1, list.length)];
}

/** What must be the same for everybody who asked for the same thing: not what was left when each was answered. */
function essence(answer: unknown): unknown {
  if (typeof answer !== "object" || answer === null) return answer;
  const { remaining: _, quota: _quota, delivered: _delivered, ...rest } = answer as Record<string, unknown>;
  return rest;
}

/** Ends an object's life. One that was lost before may not have begun another. */
async function evict({ stub, rpc, credentials }: Bank): Promise<void> {
  await rpc.check(credentials, null);
  await evictDurableObject(stub);
}

const WRITTEN = ["entries", "holds", "keys", "attempts"];

/** Lets an account write or not, as where its store is away; it can still read. */
async function setWritable(bank: Bank, writable: boolean): Promise<void> {
  await inside(bank, ({ storage }) => {
    for (const table of WRITTEN) {
      for (const verb of ["INSERT", "UPDATE"]) {
        const name = `away_${table}_${verb}`;
        if (writable) storage.sql.exec(`DROP TRIGGER IF EXISTS ${name}`);
        else {
          storage.sql.exec(`CREATE TRIGGER ${name} BEFORE ${verb} ON ${table} BEGIN SELECT RAISE(ABORT, 'away'); END`);
        }
      }
    }
  });
}
