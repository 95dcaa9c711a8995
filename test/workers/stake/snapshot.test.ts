import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { addressOf, tokenAccountOf } from "./fake-node.ts";
import {
  account,
  amountsOf,
  countedOf,
  EPOCH,
  emptyStakes,
  inOrder,
  letTimePass,
  poke,
  readingOf,
  snapshotOf,
  world,
} from "./support.ts";

beforeEach(emptyStakes);
afterEach(() => vi.unstubAllGlobals());

const NAMES = ["a", "b", "c", "d", "e"];
const [FIRST = "", SECOND = "", , , LAST = ""] = inOrder(NAMES);
const MINUTE_MS = 60_000;

/** All with something, and a node whose history catches up. */
function quiet(accountsOf: Record<string, string> = {}) {
  const made = world(NAMES, accountsOf);
  NAMES.forEach((name, index) => made.node.set(addressOf(name), 100n * BigInt(index + 1)));
  letTimePass(made.node, LIMITS.stakeHistorySlots);
  return made;
}
const QUIET = { a: 100n, b: 200n, c: 300n, d: 400n, e: 500n };

/** Does something between the reading of the first wallets and that of the last. */
function duringReading({ node }: ReturnType<typeof quiet>, act: () => void): void {
  let pages = 0;
  node.onRequest = (methods) => {
    node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] === "getMultipleAccounts" && ++pages === 2) act();
  };
}

it("reads every linked wallet at its hour, and counts nothing before a second snapshot", async () => {
  const made = quiet();
  expect(await poke(made, { afterMs: -1 })).toEqual({ state: "early", steps: 0, error: null });
  expect(await readingOf()).toBeNull();
  expect(await poke(made)).toMatchObject({ state: "whole", error: null });
  expect(await amountsOf(made)).toEqual(QUIET);
  expect(await readingOf()).toMatchObject({ state: "whole", wallets: 5 });
  expect(await countedOf()).toEqual(new Map());
  made.node.set(addressOf("b"), 150n);
  made.node.set(addressOf("c"), 900n);
  expect(await poke(made, { epoch: EPOCH + 1 })).toMatchObject({ state: "whole" });
  expect(await countedOf(EPOCH + 1)).toEqual(
    new Map(
      [
        ["a", 100n],
        ["b", 150n],
        ["c", 300n],
        ["d", 400n],
        ["e", 500n],
      ].map(([name, amount]) => [account(String(name)), amount]),
    ),
  );
  expect(await countedOf(EPOCH + 2)).toBeNull();
});

it("does nothing more when it is poked again", async () => {
  const made = quiet();
  await poke(made);
  const before = await readingOf();
  const calls = new Map(made.node.calls);
  made.node.set(addressOf("a"), 1n);
  expect(await poke(made)).toMatchObject({ state: "whole", error: null });
  expect(await poke(made, { afterMs: 8 * 60 * MINUTE_MS })).toMatchObject({ state: "whole", error: null });
  expect(await readingOf()).toEqual(before);
  expect(await amountsOf(made)).toEqual(QUIET);
  expect(made.node.calls).toEqual(calls);
});

it("sums the wallets of an account, and lets a wallet that was linked anew wait for its second snapshot", async () => {
  const made = quiet({ a: "x", b: "x", c: "x", d: "y", e: "y" });
  await poke(made);
  const relink = (name: string, to: string, linkedAt: number) =>
    made.wallets.set(name, { address: addressOf(name), account: account(to), linkedAt });
  relink("c", "y", 2);
  // Away and back.
  relink("a", "x", 2);
  await poke(made, { epoch: EPOCH + 1 });
  expect(await countedOf(EPOCH + 1)).toEqual(
    new Map([
      [account("x"), 200n],
      [account("y"), 900n],
    ]),
  );
  made.wallets.delete("e");
  await poke(made, { epoch: EPOCH + 2 });
  expect(await countedOf(EPOCH + 2)).toEqual(
    new Map([
      [account("x"), 300n],
      [account("y"), 700n],
    ]),
  );
});

it("counts stake once that wanders to a wallet which is read later, and not even once where it came and went", async () => {
  const made = quiet();
  const [from, to] = [addressOf(FIRST), addressOf(LAST)];
  const had = QUIET[FIRST as "a"];
  duringReading(made, () => made.node.move(from, to, had - 1n));
  expect(await poke(made)).toMatchObject({ state: "whole", error: null });
  expect(await amountsOf(made)).toEqual({ ...QUIET, [FIRST]: 1n });
});

it("finds stake that left and was back before anybody could see it in a balance", async () => {
  const made = quiet();
  const [from, to] = [addressOf(FIRST), addressOf(SECOND)];
  duringReading(made, () => {
    made.node.move(from, to, 60n);
    made.node.move(to, from, 60n);
  });
  await poke(made);
  expect(await amountsOf(made)).toEqual({ ...QUIET, [FIRST]: QUIET[FIRST as "a"] - 60n });
});

it("is not moved by what came before its first page and after its last one, nor by what failed or only looked", async () => {
  const made = quiet();
  const [one, other] = [addressOf(FIRST), addressOf(LAST)];
  made.node.move(other, one, 50n);
  made.node.move(one, other, 50n);
  let pages = 0;
  made.node.onRequest = (methods) => {
    made.node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] !== "getMultipleAccounts") return;
    pages += 1;
    if (pages === 2) {
      made.node.touch(one);
      made.node.land([[tokenAccountOf(one), null]], true);
    }
    // The reading takes three pages.
    if (pages === 4) made.node.move(one, other, 50n);
  };
  await poke(made);
  expect(await amountsOf(made)).toEqual(QUIET);
});

it("counts nothing of an account that was closed or given to somebody else meanwhile, and came back", async () => {
  const made = quiet();
  const [closed, given] = [addressOf(FIRST), addressOf(SECOND)];
  duringReading(made, () => {
    made.node.close(closed);
    made.node.set(closed, 70n);
    const back = QUIET[SECOND as "a"];
    made.node.set(given, back, { owner: addressOf("thief") });
    made.node.set(given, back);
  });
  await poke(made);
  const { [FIRST as "a"]: _one, [SECOND as "b"]: _other, ...rest } = QUIET;
  expect(await amountsOf(made)).toEqual(rest);
});

it("counts nothing of another mint, another program or another owner, and nothing where there is no account", async () => {
  const made = quiet();
  made.node.set(addressOf("a"), 1n, { mint: addressOf("another mint") });
  made.node.set(addressOf("b"), 2n, { program: addressOf("another program") });
  made.node.set(addressOf("c"), 3n, { owner: addressOf("another owner") });
  made.node.close(addressOf("d"));
  await poke(made);
  expect(await amountsOf(made)).toEqual({ e: 500n });
  expect(Object.keys(await snapshotOf())).toHaveLength(1);
});

it("counts the associated token account alone, whatever else a wallet's owner has", async () => {
  const made = quiet();
  const [, state] = [
    addressOf("elsewhere"),
    { program: addressOf("x"), mint: addressOf("x"), owner: addressOf("a"), amount: 9n },
  ];
  made.node.land([[addressOf("elsewhere"), state]]);
  await poke(made);
  expect(await amountsOf(made)).toEqual(QUIET);
});

it("passes over an address that is none, and refuses a list with a wallet twice", async () => {
  const made = quiet();
  made.wallets.set("broken", { address: "zzz", account: account("a"), linkedAt: 1 });
  expect(await poke(made)).toMatchObject({ state: "whole" });
  expect(await amountsOf(made)).toEqual(QUIET);
  const twice = {
    ...made.parts,
    linkedWallets: async () => await Promise.resolve([...made.wallets.values(), ...made.wallets.values()]),
  };
  expect(await poke({ parts: twice }, { epoch: EPOCH + 1 })).toMatchObject({
    state: "reading",
    error: expect.stringContaining("once"),
  });
  expect(await snapshotOf(EPOCH + 1)).toEqual({});
});

it("leaves nothing that counts when it is not whole at 23:30, and says so when nobody began it", async () => {
  const made = quiet();
  expect(await poke(made, { epoch: EPOCH - 1, afterMs: 30 * MINUTE_MS })).toEqual({
    state: "missed",
    steps: 0,
    error: null,
  });
  await poke(made, { epoch: EPOCH - 1 });
  // The node is away from the check on.
  made.node.onRequest = (methods) => {
    made.node.advance(LIMITS.stakeHistorySlots);
    return methods[0] === "getSignaturesForAddress" ? new Response("", { status: 400 }) : undefined;
  };
  expect(await poke(made, { afterMs: 30 * MINUTE_MS - 1 })).toMatchObject({
    state: "checking",
    error: "the node answered 400",
  });
  expect(Object.keys(await snapshotOf())).toHaveLength(5);
  expect(await countedOf()).toBeNull();
  made.node.onRequest = () => {};
  expect(await poke(made, { afterMs: 30 * MINUTE_MS })).toMatchObject({ state: "abandoned", error: null });
  expect(await snapshotOf()).toEqual({});
  expect(await countedOf()).toBeNull();
  // The next one counts with the last whole one.
  letTimePass(made.node, LIMITS.stakeHistorySlots);
  await poke(made, { epoch: EPOCH + 1 });
  expect((await countedOf(EPOCH + 1))?.size).toBe(5);
});

it("keeps the three last whole snapshots", async () => {
  const made = quiet();
  for (let epoch = EPOCH; epoch < EPOCH + 5; epoch++) await poke(made, { epoch });
  const { results } = await env.DB.prepare("SELECT DISTINCT epoch FROM stake_balances ORDER BY epoch").all<{
    epoch: number;
  }>();
  expect(results.map(({ epoch }) => epoch - EPOCH)).toEqual([2, 3, 4]);
});
