/** Calls that the platform repeats: at once, later, in any order, across evictions. What they did once they do once. */

import { evictDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, it, vi } from "vitest";
import type { JobId, KeyId } from "../../../core/ids.ts";
import type { Outcome } from "../../../core/outcome.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import type { SignedReceipt } from "../../../protocol/receipt.ts";
import { idOf, signText } from "../../support/receipts.ts";
import { auditLog, deliver, pack } from "../log/support.ts";
import { type Bank, balance, creditOf, entries, factsOf, foldOf, holdOf, jobOf, openBank } from "./bank.ts";
import { verifyChain } from "./chain.ts";

const JOBS = 5;
const FENCES = 3;
const third = fc.nat(2);
const job = fc.nat(JOBS - 1);
const fence = fc.integer({ min: 1, max: FENCES });

const call = fc.oneof(
  fc.record({ do: fc.constant("credit" as const), id: third }),
  fc.record({ do: fc.constant("hold" as const), job, completion: fc.integer({ min: 1, max: 1_500 }) }),
  fc.record({ do: fc.constant("hold" as const), job, completion: fc.constant(500) }),
  fc.record({
    do: fc.constant("post" as const),
    job,
    fence,
    completion: fc.nat(1_500),
    outcome: fc.constantFrom<Outcome>("completed", "completed", "cancelled", "failed", "unverified"),
  }),
  fc.record({ do: fc.constant("void" as const), job, fence: fc.option(fence) }),
  fc.record({ do: fc.constant("advance" as const), job, fence }),
  fc.record({ do: fc.constant("open" as const) }),
  fc.record({ do: fc.constant("createKey" as const), id: third }),
  fc.record({ do: fc.constant("revokeKey" as const), id: third }),
);
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      call,
      /** How often the platform makes it at once, and after how many steps again. */
      times: fc.integer({ min: 1, max: 3 }),
      again: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("evict" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.constantFrom(1, 90, 600) }) },
);

const CREDITS = [
  creditOf({ id: "bonus", amount: 90_000 }),
  creditOf({ id: "paid", kind: "topup", backing: "usdc", amount: 70_000 }),
  creditOf({ id: "more", amount: 50_001 }),
];
const keyId = (id: number) => idOf(`key ${id}`) as unknown as KeyId;

/** One account, its jobs, and every answer that was given for each. */
class Replayed {
  readonly bank: Bank;
  readonly answers = new Map<string, Set<string>>();
  readonly #jobs = new Map<number, JobId>();

  constructor(bank: Bank) {
    this.bank = bank;
  }

  /** A job's id is of the time of its first call, as a gateway makes it. */
  #job(index: number): JobId {
    const known = this.#jobs.get(index) ?? jobOf();
    this.#jobs.set(index, known);
    return known;
  }

  async make(made: Call): Promise<void> {
    const { rpc, credentials, name, account } = this.bank;
    switch (made.do) {
      case "credit":
        return this.#note(`credit ${made.id}`, await rpc.credit(CREDITS[made.id] ?? creditOf()));
      case "hold": {
        const { job, completion } = made;
        const held = await rpc.hold(holdOf(this.bank, { job: this.#job(job), completion }));
        // What is left changes with every call; what is reserved does not.
        if (held.type === "held") this.#note(`hold ${job}`, { price: held.price, cap: held.completionCap });
        return;
      }
      case "post": {
        const { job, fence, completion, outcome } = made;
        const facts = factsOf(this.#job(job), { prompt: 0, completion }, outcome);
        const posted = await rpc.post({ ...facts, fence });
        if (posted.type === "posted") this.#note(`post ${job}`, posted.body);
        return;
      }
      case "void": {
        const voided = await rpc.void(this.#job(made.job), "replayed", made.fence);
        if (voided.type === "already_posted") this.#note(`post ${made.job}`, voided.body);
        return;
      }
      case "advance":
        await rpc.advance(this.#job(made.job), made.fence);
        return;
      case "open": {
        const key = { id: idOf(`key of ${name}`) as unknown as KeyId, name: "first", ...credentials };
        return this.#note("open", await rpc.open({ account, key, starter: false }));
      }
      case "createKey": {
        const { id } = made;
        const key = { id: keyId(id), name: `key ${id}`, secretHash: hashText(`secret ${id}`) };
        const created = await rpc.createKey(credentials, key);
        return this.#note(`key ${id}`, created.ok ? created.value.createdAt : created);
      }
      case "revokeKey": {
        const revoked = await rpc.revokeKey(credentials, keyId(made.id));
        if (revoked.ok) this.#note(`revoked ${made.id}`, revoked.value.revokedAt);
        return;
      }
    }
  }

  async evict(): Promise<void> {
    // Only what is awake can be evicted.
    await this.bank.rpc.keys(this.bank.credentials);
    await evictDurableObject(this.bank.stub);
  }

  #note(name: string, answer: unknown): void {
    this.answers.set(name, (this.answers.get(name) ?? new Set()).add(JSON.stringify(answer)));
  }

  /** The account holds what was credited less what its receipts charge; each thing happened once; a cold start agrees. */
  async check(): Promise<SignedReceipt[]> {
    await verifyChain(this.bank);
    const { available, held } = await balance(this.bank);
    const all = await entries(this.bank);
    const bodies = all.map(({ body }) => JSON.parse(body) as Partial<ReceiptBody> & Record<"lot" | "job", string>);
    const receipts = all.filter(({ type }) => type === "spent");
    const credited = CREDITS.filter(({ id }) => bodies.some(({ lot }) => lot === id));
    const charged = bodies.reduce((sum, { charge }) => sum + (charge?.nano_usd ?? 0), 0);
    expect(available + held).toBe(credited.reduce((sum, { amount }) => sum + amount, 0) - charged);

    // One entry for each credit; for each job one end, or an expiry and the receipt that came after it.
    const named = all.map(({ type, body }) => {
      const { lot, job } = JSON.parse(body) as { lot?: string; job?: string };
      return `${type === "void" ? "spent" : type} ${lot ?? job}`;
    });
    expect(named).toHaveLength(new Set(named).size);
    for (const [name, answers] of this.answers) expect([name, answers.size]).toEqual([name, 1]);

    const folded = await foldOf(this.bank, false);
    await evictDurableObject(this.bank.stub);
    expect(await balance(this.bank)).toEqual({ available, held });
    expect(await foldOf(this.bank, false)).toBe(folded);
    return receipts.map(({ body }) => signText(body));
  }
}

let banks = 0;

it("does every call once, whatever is repeated, and every receipt reaches the log once", {
  timeout: 120_000,
}, async () => {
  const logged: string[] = [];
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.infiniteStream(fc.nat()),
      async (steps, draws) => {
        vi.useFakeTimers({ toFake: ["Date"] });
        const replayed = new Replayed(await openBank({ name: `replayed ${banks++}` }));
        const later = new Map<number, Call[]>();
        for (const [index, each] of steps.entries()) {
          if (each.do === "evict") await replayed.evict();
          if (each.do === "wait") vi.setSystemTime(Date.now() + each.seconds * 1_000);
          const now = later.get(index) ?? [];
          if (each.do === "call") {
            for (let time = 0; time < each.times; time++) now.push(each.call);
            for (const distance of each.again)
              later.set(index + distance, [...(later.get(index + distance) ?? []), each.call]);
          }
          // Those of one moment run beside each other, in an order that nobody chose.
          const order = now.map((made) => ({ made, at: draws.next().value ?? 0 })).sort((a, b) => a.at - b.at);
          await Promise.all(order.map(({ made }) => replayed.make(made)));
        }
        const receipts = await replayed.check();
        await deliver([pack([...receipts, ...receipts])].filter(() => receipts.length > 0));
        await deliver(receipts.toReversed().map((receipt) => pack([receipt])));
        logged.push(...receipts.map(({ body }) => body));
        expect((await auditLog()).map(({ body }) => body).sort()).toEqual(logged.toSorted());
        vi.useRealTimers();
      },
    ),
    { numRuns: 60 },
  );
  expect(logged.length).toBeGreaterThan(0);
});
