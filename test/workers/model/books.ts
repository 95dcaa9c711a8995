/** A consumer's account as it really is: its balance, its chain, and its rows of holds, all of one moment. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { balanceOf } from "../../../core/account/balance.ts";
import { GENESIS_HEAD } from "../../../core/account/state.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { GENESIS_PEG } from "../../../core/units.ts";
import { AccountStore, type StoredRefusal } from "../../../durable-objects/account/store.ts";
import type { EntryRecord } from "../../../protocol/internal/account.ts";
import { accountOf, type TestAccount } from "../job/network.ts";
import type { Held } from "./job.ts";

/** A row of `holds`: a reservation, or a refusal. */
export interface HoldRow {
  readonly job: string;
  /** SHA-256 of the call's body. */
  readonly body: string;
  readonly order: number;
  /** The last entry when it was made. */
  readonly afterSeq: number;
  readonly held: Held | null;
  readonly refused: StoredRefusal | null;
}

export interface Books {
  readonly available: number;
  readonly held: number;
  readonly entries: readonly EntryRecord[];
  readonly holds: readonly HoldRow[];
}

interface RawHold extends Record<string, SqlStorageValue> {
  job: string;
  hold_order: number;
  after_seq: number;
  body: string;
  record: string;
}

export async function readBooks(owner: TestAccount): Promise<Books> {
  const { credentials } = accountOf(owner);
  const stub = env.ACCOUNT.getByName(owner.account);
  return await runInDurableObject(stub, async (account, { storage }) => {
    // Both methods have answered before anything is awaited, so all of this is of one moment.
    const [balance, entries] = [account.balance(credentials), account.entries(credentials, 0, 1_000)];
    const holds = storage.sql
      .exec<RawHold>("SELECT * FROM holds ORDER BY after_seq, hold_order")
      .toArray()
      .map(holdRow);
    // Whoever starts from the rows must find the same account.
    const folded = balanceOf(new AccountStore(storage.sql).load(), GENESIS_PEG, Date.now());
    const [balanceAnswer, entriesAnswer] = [await balance, await entries];
    if (!balanceAnswer.ok || !entriesAnswer.ok) throw new Error("the account does not know its own key");
    expect(folded).toEqual(balanceAnswer.value);
    const { available, held } = balanceAnswer.value;
    return { available, held, entries: entriesAnswer.value, holds };
  });
}

function holdRow({ job, hold_order: order, after_seq: afterSeq, body, record }: RawHold): HoldRow {
  const { hold, refused } = JSON.parse(record) as { hold?: Omit<Held, "body">; refused?: StoredRefusal };
  const held = hold === undefined ? null : ({ ...hold, body } as Held);
  return { job, body, order, afterSeq, held, refused: refused ?? null };
}

/** An entry's body, whatever its type. */
export type EntryBody = Partial<ReceiptBody> & {
  readonly type?: string;
  readonly kind?: string;
  readonly lot?: string;
  readonly millicredits?: number;
  readonly nano_usd?: number;
  readonly previous: string;
  readonly seq: number;
};

export const bodyOf = (entry: EntryRecord): EntryBody => JSON.parse(entry.body) as EntryBody;

/** What must hold at every moment: nothing is negative, every unit is in one place, and the chain is whole. */
export function checkBooks({ available, held, entries, holds }: Books): void {
  expect(Math.min(available, held)).toBeGreaterThanOrEqual(0);
  let previous = GENESIS_HEAD;
  let credited = 0;
  let charged = 0;
  const open = new Map(holds.flatMap((row) => (row.held === null ? [] : [[row.job, row.held.price] as const])));
  for (const [index, entry] of entries.entries()) {
    const body = bodyOf(entry);
    expect(entry.seq).toBe(index + 1);
    expect([body.seq, body.previous]).toEqual([entry.seq, previous]);
    previous = hashText(entry.body);
    if (body.charge !== undefined) charged += body.charge.millicredits;
    else if (body.lot !== undefined) credited += (body.millicredits ?? 0) + (body.nano_usd ?? 0);
    if (body.job !== undefined) open.delete(body.job);
  }
  expect(available + held + charged).toBe(credited);
  expect(held).toBe([...open.values()].reduce((total, price) => total + price, 0));
}
