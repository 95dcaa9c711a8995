/** A network that dies between any two steps of a scan, or of what operators decide, and one that looks twice at once. */

import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { approve } from "../../../workers/deposits/desk.ts";
import { scanDeposits, scanIntent } from "../../../workers/deposits/scan.ts";
import { FakeChain, keyOf, TREASURY } from "../../support/payments.ts";
import { openAccount, type TestAccount } from "../api/support.ts";
import { Breaking } from "./breaking.ts";
import { ALICE, ask, available, forgetDeposits, intentOf, intentRow, scan, told, topup, wrongSums } from "./support.ts";

const USD = 1_000_000n;
/** More steps than a scan takes. */
const MOST_STEPS = 200;

interface Paid {
  readonly chain: FakeChain;
  readonly ids: readonly string[];
}

/** An account pays too much for a package, and a top-up; and somebody pays without a reference. */
async function paid(account: TestAccount, round: number): Promise<Paid> {
  const chain = new FakeChain();
  chain.genesisHash = keyOf(1_000_000 + round);
  const wanted = await intentOf(account, { kind: "package", package: "starter" });
  const second = await topup(account);
  const at = Date.now();
  const own = (n: number) => keyOf(1_000 * (round + 1) + n, 64);
  chain.add(
    { signature: own(1), slot: 1, at, transfers: [{ units: 53n * USD, references: [wanted.reference] }] },
    { signature: own(2), slot: 2, at, transfers: [{ units: 5n * USD, references: [second.reference] }] },
    { signature: own(3), slot: 3, at, transfers: [{ units: 2n * USD }] },
  );
  return { chain, ids: [wanted.id, second.id] };
}

const EXPECTED = [
  "credited exact package 50000000",
  "credited exact topup 5000000",
  "credited over topup 3000000",
  "suspense no_reference topup 2000000",
];

/** What so many USD are shown as. */
const credits = (usd: number) => `${usd}000000.000`;

beforeEach(forgetDeposits);

describe.each(["before", "after"] as const)("dying %s a step", (when) => {
  it("credits everything once, whichever step of a scan it is", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const account = await openAccount("breaks-0", false);
    let step = 1;
    for (; step <= MOST_STEPS; step++) {
      const { chain } = await paid(account, step);
      const breaking = new Breaking(step, when);
      const broken = { env: { ...env, ...breaking.bindings }, chain: breaking.chain(chain), treasury: TREASURY };
      await scanDeposits({ ...broken, now: Date.now() }).catch(() => {});
      if (!breaking.hasBroken) break;
      await scan(chain);
      expect([step, await told()]).toEqual([step, EXPECTED]);
      expect([step, await available(account)]).toEqual([step, credits(58 * step)]);
      expect([step, await wrongSums()]).toEqual([step, []]);
      await forgetDeposits();
    }
    // It must have come through all of it.
    expect(step).toBeGreaterThan(20);
    expect(step).toBeLessThan(MOST_STEPS);
  }, 120_000);

  it("resolves a deposit once, whichever step of an approval it is", async () => {
    const account = await openAccount("breaks-1", false);
    let step = 1;
    for (; step <= MOST_STEPS; step++) {
      const { chain } = await paid(account, step);
      await scan(chain);
      const { json } = await ask("/admin/deposits?state=suspense", { key: ALICE });
      const body = { id: `r-${step}`, action: "credit", account: account.account, reason: "told by the payer" };
      const path = `/admin/deposits/${json.data[0].id}/resolutions`;
      expect((await ask(path, { key: ALICE, body })).status).toBe(201);
      const breaking = new Breaking(step, when);
      const broken = { ...env, ...breaking.bindings };
      await approve(broken, body.id, "bob", Date.now()).catch(() => {});
      if (!breaking.hasBroken) break;
      const again = await approve(env, body.id, "bob", Date.now());
      expect([step, again.ok && again.value.state]).toEqual([step, "done"]);
      expect([step, await told()]).toEqual([
        step,
        [...EXPECTED.slice(0, 3), "credited operators topup 2000000"].sort(),
      ]);
      expect([step, await available(account)]).toEqual([step, credits(60 * step)]);
      expect([step, await wrongSums()]).toEqual([step, []]);
      await forgetDeposits();
    }
    expect(step).toBeGreaterThan(3);
    expect(step).toBeLessThan(MOST_STEPS);
  }, 120_000);
});

it("credits everything once when twenty look at the same time", async () => {
  const account = await openAccount("breaks-2", false);
  const { chain, ids } = await paid(account, 0);
  const intents = await Promise.all(ids.map((id) => intentRow(account, id)));
  const looks = Array.from({ length: 20 }, async (_, n) => {
    const intent = intents[n % 3];
    if (intent === undefined) return await scan(chain);
    return await scanIntent({ env, chain, treasury: TREASURY, now: Date.now() }, intent);
  });
  await Promise.all(looks);
  await scan(chain);
  expect(await told()).toEqual(EXPECTED);
  expect(await available(account)).toBe(credits(58));
  expect(await wrongSums()).toEqual([]);
});

it("makes one package of many payments that are judged at the same time", async () => {
  const account = await openAccount("breaks-many", false);
  const { reference } = await intentOf(account, { kind: "package", package: "starter" });
  const chains = Array.from({ length: 4 }, (_, n) => {
    const chain = new FakeChain();
    chain.genesisHash = keyOf(500 + n);
    chain.add({
      signature: keyOf(700 + n, 64),
      at: Date.now(),
      transfers: [{ units: 50n * USD, references: [reference] }],
    });
    return chain;
  });
  await Promise.all(chains.map((chain) => scan(chain)));
  for (const chain of chains) await scan(chain);
  expect(await told()).toEqual([
    "credited again topup 50000000",
    "credited again topup 50000000",
    "credited again topup 50000000",
    "credited exact package 50000000",
  ]);
  expect(await wrongSums()).toEqual([]);
});
