/**
 * Looks for deposits: first at what is half done, then at the treasury's token account, which sees every payment, then at
 * references that somebody may pay, which see also what never reached that account. Any number of scans may run at once, and
 * each may end anywhere: what a transaction brought is written once, and what is written is credited once.
 */

import { LIMITS } from "../../core/limits.ts";
import { getCursor, moveCursor } from "../../db/chain-cursors.ts";
import { dueIntents, type IntentRow, takeIntent } from "../../db/deposit-intents.ts";
import { takenSignatures } from "../../db/deposits.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import type { Treasury } from "../../protocol/solana/arrivals.ts";
import type { Chain, SignatureInfo } from "./chain.ts";
import { creditDue } from "./credit.ts";
import { takeTransaction } from "./take.ts";

/** What a scan works with. */
export interface Scan {
  readonly env: Env;
  readonly chain: Chain;
  readonly treasury: Treasury;
  readonly now: number;
}

/** One scan of everything. Throws what a node or D1 throws; the next scan goes on from there. */
export async function scanDeposits(scan: Scan): Promise<void> {
  const { env, now } = scan;
  await creditDue(env);
  const budget = new Budget();
  try {
    await walkTreasury(scan, budget);
  } finally {
    await creditDue(env);
  }
  for (const intent of await dueIntents(env.DB, now, LIMITS.depositReferences)) {
    if (budget.isSpent) break;
    if (await takeIntent(env.DB, intent, now)) await lookAt(scan, intent, budget);
  }
  await creditDue(env);
}

/** Looks at one intent's reference, for whoever waits for it. Does nothing where it was looked at a moment ago. */
export async function scanIntent(scan: Scan, intent: IntentRow): Promise<void> {
  const { env, now } = scan;
  if (now - intent.checked_at < LIMITS.depositWatchMs || !(await takeIntent(env.DB, intent, now))) return;
  await lookAt(scan, intent, new Budget());
  await creditDue(env);
}

/** How many transactions a scan still takes on. */
class Budget {
  #left: number = LIMITS.depositTransactions;

  get isSpent(): boolean {
    return this.#left <= 0;
  }

  spend(): void {
    this.#left -= 1;
  }
}

/** Every signature of a reference is looked at, however many there are before it. */
async function lookAt(scan: Scan, { reference }: IntentRow, budget: Budget): Promise<void> {
  let below: string | null = null;
  for (let page = 1; page <= LIMITS.depositPages && !budget.isSpent; page++) {
    const found: readonly SignatureInfo[] = await scan.chain.signatures(reference, {
      below,
      leastSlot: 0,
      limit: LIMITS.depositPage,
    });
    await takeAll(scan, found, budget);
    below = found.at(-1)?.signature ?? null;
    if (below === null || found.length < LIMITS.depositPage) return;
  }
}

/**
 * Walks back from the newest transaction to what was looked at before, and some slots further, page by page. Where it got
 * to is kept after every page, so a walk goes on where an earlier one has ended.
 */
async function walkTreasury(scan: Scan, budget: Budget): Promise<void> {
  const { env, chain, treasury } = scan;
  const genesis = await chain.genesis();
  for (let page = 1; page <= LIMITS.depositPages && !budget.isSpent; page++) {
    const cursor = await getCursor(env.DB, genesis, treasury.tokenAccount);
    const { slot, head, below } = cursor;
    const limit = LIMITS.depositPage;
    const found = await chain.signatures(treasury.tokenAccount, { below, leastSlot: head, limit });
    const read = await takeAll(scan, found, budget);
    if (read === "spent") return;
    const newest = below === null ? Math.max(head, found[0]?.slot ?? 0) : head;
    // What could not be read is looked at again by the next walk, so this one must not count for all that it passes.
    const top = read === "all" ? newest : slot;
    const last = found.at(-1);
    const isDone = found.length < limit || last === undefined || last.slot < slot - LIMITS.depositOverlapSlots;
    const next = isDone ? { slot: top, head: top, below: null } : { slot, head: top, below: last.signature };
    if (isSame(cursor, next)) return;
    // Who was overtaken leaves the rest to the one who was faster.
    if (!(await moveCursor(env.DB, cursor, next)) || isDone) return;
  }
}

function isSame<T extends object>(cursor: T, next: Partial<T>): boolean {
  return Object.entries(next).every(([name, value]) => cursor[name as keyof T] === value);
}

/** Takes in what is new of a page, oldest first. `some`: one could not be read; `spent`: the budget did not reach. */
async function takeAll(scan: Scan, found: readonly SignatureInfo[], budget: Budget): Promise<"all" | "some" | "spent"> {
  const { env, chain, treasury, now } = scan;
  const signatures = found.map(({ signature }) => signature);
  const taken = signatures.length === 0 ? new Set<string>() : await takenSignatures(env.DB, signatures);
  let read: "all" | "some" = "all";
  for (const signature of signatures.filter((one) => !taken.has(one)).reverse()) {
    if (budget.isSpent) return "spent";
    budget.spend();
    try {
      await takeTransaction(env.DB, chain, treasury, signature, now);
    } catch (error) {
      // Its neighbours need not wait for it.
      emitError("deposit_not_read", error, { signature });
      read = "some";
    }
  }
  return read;
}
