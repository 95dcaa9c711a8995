import { env } from "cloudflare:workers";
import { beforeEach, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { getCursor } from "../../../db/chain-cursors.ts";
import { FakeChain, keyOf, TREASURY } from "../../support/payments.ts";
import { openAccount, type TestAccount } from "../api/support.ts";
import { arrived, forgetDeposits, scan, told, topup } from "./support.ts";

let chain: FakeChain;
let account: TestAccount;
let reference: string;
beforeEach(async () => {
  await forgetDeposits();
  vi.spyOn(console, "error").mockImplementation(() => {});
  chain = new FakeChain();
  account = await openAccount("first", false);
  reference = (await topup(account)).reference;
});

const cursor = () => getCursor(env.DB, chain.genesisHash, TREASURY.tokenAccount);
const pay = (n: number, slot = n) =>
  chain.add({ signature: keyOf(n, 64), slot, at: Date.now(), transfers: [{ units: 1n }] });
const seen = async () => (await arrived()).length;

it("goes on where it ended until all pages are looked at, and takes nothing twice", async () => {
  const all = 3 * LIMITS.depositTransactions + 7;
  for (let n = 1; n <= all; n++) pay(n);
  await scan(chain);
  expect(await seen()).toBe(LIMITS.depositTransactions);
  expect(await cursor()).toMatchObject({ slot: 0, head: all });
  // What comes meanwhile is for the next walk.
  pay(all + 1);
  for (let turn = 0; turn < 3; turn++) await scan(chain);
  expect(await seen()).toBe(all);
  expect(await cursor()).toMatchObject({ slot: all, head: all, below: null });
  await scan(chain);
  expect(await seen()).toBe(all + 1);
  const reads = chain.calls.filter((call) => call.startsWith("transaction"));
  expect(reads).toHaveLength(all + 1);
});

it("looks back some slots, as a node may learn of a transaction late, also pages behind the newest one", async () => {
  const [first, count] = [9_000, LIMITS.depositPage + 10];
  for (let n = 1; n <= count; n++) pay(n, first + n);
  await scan(chain);
  expect((await cursor()).slot).toBe(first + count);
  pay(count + 1, first - 1);
  await scan(chain);
  expect(await seen()).toBe(count + 1);
});

it("takes no answer of a node that has not come as far as another one", async () => {
  pay(1);
  pay(2, 50);
  await scan(chain);
  chain.tip = 20;
  await expect(scan(chain)).rejects.toThrow("context slot");
  expect((await cursor()).slot).toBe(50);
  chain.tip = 60;
  pay(3, 60);
  await scan(chain);
  expect(await seen()).toBe(3);
});

it("comes back to what could not be read, and does not count for all that it passes", async () => {
  pay(1);
  chain.tip = 5;
  await scan(chain);
  pay(2, 5);
  const transaction = chain.transaction.bind(chain);
  const reads = vi.spyOn(chain, "transaction").mockImplementation(async (signature) => {
    if (signature === keyOf(2, 64)) throw new Error("the node does not find it");
    return await transaction(signature);
  });
  pay(3, 5);
  await scan(chain);
  expect(await seen()).toBe(2);
  expect((await cursor()).slot).toBe(1);
  reads.mockRestore();
  await scan(chain);
  expect(await seen()).toBe(3);
  expect((await cursor()).slot).toBe(5);
});

it("begins anew on another chain, and forgets nothing of the first", async () => {
  pay(1, 900);
  await scan(chain);
  const second = new FakeChain();
  second.genesisHash = keyOf(99);
  second.add({ signature: keyOf(2, 64), slot: 3, at: Date.now(), transfers: [{ units: 1n }] });
  await scan(second);
  expect(await seen()).toBe(2);
  expect((await cursor()).slot).toBe(900);
});

it("looks at every signature of a reference, however many others name it", async () => {
  // What never reaches the treasury's account is seen at the reference alone.
  const references = [reference];
  const many = 2 * LIMITS.depositPage;
  chain.add({
    signature: keyOf(1, 64),
    slot: 1,
    at: Date.now(),
    references,
    wrongMint: true,
    transfers: [{ units: 9n }],
  });
  for (let n = 2; n <= many; n++) {
    chain.add({ signature: keyOf(n, 64), slot: n, at: Date.now(), references, wrongMint: true });
  }
  await scan(chain);
  await scan(chain);
  expect(await told()).toEqual(["suspense wrong_mint topup 0"]);
});
