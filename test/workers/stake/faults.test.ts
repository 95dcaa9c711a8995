import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import type { LinkedWallets } from "../../../workers/stake/read-page.ts";
import { addressOf } from "./fake-node.ts";
import {
  amountsOf,
  EPOCH,
  emptyStakes,
  inOrder,
  letTimePass,
  poke,
  readingOf,
  snapshotOf,
  type World,
  world,
} from "./support.ts";

beforeEach(emptyStakes);
afterEach(() => vi.unstubAllGlobals());

const NAMES = ["a", "b", "c", "d", "e"];
const [FIRST = "", , , , LAST = ""] = inOrder(NAMES);
const EACH = 100n;
const ALL = Object.fromEntries(NAMES.map((name) => [name, EACH]));

function quiet(): World {
  const made = world(NAMES);
  for (const name of NAMES) made.node.set(addressOf(name), EACH);
  letTimePass(made.node, LIMITS.stakeHistorySlots);
  return made;
}

/** The node that answers the given requests of a method gives `answer` instead; the chain goes on meanwhile. */
function failing({ node }: World, method: string, times: number, answer: () => Response | undefined): void {
  let left = times;
  node.onRequest = (methods) => {
    node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] !== method || left === 0) return undefined;
    left -= 1;
    return answer();
  };
}

const METHODS = ["getSlot", "getMultipleAccounts", "getSignaturesForAddress", "getTransaction"];
const BAD: Record<string, () => Response> = {
  "has too much to do": () => new Response("slow down", { status: 429 }),
  "is broken": () => new Response("", { status: 503 }),
  "answers half": () => new Response('[{"id":0,"res'),
  "answers nothing": () => Response.json([]),
  "is unhealthy": () => Response.json([{ id: 0, error: { code: -32_005, message: "Node is behind" } }]),
};

it.each(METHODS.flatMap((method) => Object.keys(BAD).map((what) => [method, what] as const)))(
  "asks again when, at %s, the node %s",
  async (method, what) => {
    const made = quiet();
    made.node.touch(addressOf(FIRST));
    const instead = BAD[what] as () => Response;
    let pages = 0;
    failing(made, method, 2, instead);
    const { onRequest } = made.node;
    made.node.onRequest = (methods, count) => {
      if (methods[0] === "getMultipleAccounts" && ++pages === 2) made.node.move(addressOf(FIRST), addressOf(LAST), 1n);
      return onRequest(methods, count);
    };
    expect(await poke(made)).toMatchObject({ state: "whole", error: null });
    expect(await amountsOf(made)).toEqual({ ...ALL, [FIRST]: EACH - 1n });
  },
);

it.each(METHODS.slice(0, 3))(
  "stops where %s is never answered, and the next poke goes on from there",
  async (method) => {
    const made = quiet();
    failing(made, method, LIMITS.rpcAttempts, () => new Response("", { status: 429 }));
    const { error, steps } = await poke(made);
    expect(error).toBe("the node answered 429");
    const calls = made.node.calls.get("getMultipleAccounts") ?? 0;
    expect(await poke(made)).toMatchObject({ state: "whole", error: null });
    expect(await amountsOf(made)).toEqual(ALL);
    // What was read is not read again: three pages, and each once more in the check.
    if (method === "getSignaturesForAddress") {
      expect(steps).toBe(5);
      expect(calls).toBe(4);
    }
  },
);

it("does not take a node's word that lags behind the reading", async () => {
  const made = quiet();
  let pages = 0;
  made.node.onRequest = (methods) => {
    made.node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] !== "getMultipleAccounts") return;
    pages += 1;
    if (pages === 1) made.node.move(addressOf(LAST), addressOf(FIRST), 40n);
    // A node from before the transfer would see what has gone already.
    if (pages === 3) made.node.lag = 10_000;
  };
  expect(await poke(made)).toMatchObject({ state: "whole", error: null });
  expect(pages).toBe(7);
  const amounts = await amountsOf(made);
  expect(amounts).toEqual({ ...ALL, [LAST]: EACH - 40n });
});

it("does not believe a node whose history lacks what moved a balance", async () => {
  const made = quiet();
  let pages = 0;
  made.node.onRequest = (methods) => {
    made.node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] !== "getMultipleAccounts" || ++pages !== 2) return;
    made.node.move(addressOf(FIRST), addressOf("elsewhere"), 40n);
  };
  made.node.forgetsSignatures = true;
  expect(await poke(made)).toMatchObject({ state: "checking", error: expect.stringContaining("no history") });
  made.node.forgetsSignatures = false;
  expect(await poke(made)).toMatchObject({ state: "whole", error: null });
  expect(await amountsOf(made)).toEqual({ ...ALL, [FIRST]: EACH - 40n });
});

it("waits until the history has what the reading saw", async () => {
  const made = quiet();
  made.node.onRequest = () => {};
  expect(await poke(made)).toMatchObject({ state: "checking", error: expect.stringContaining("-32016") });
  made.node.advance(LIMITS.stakeHistorySlots - 1);
  expect(await poke(made)).toMatchObject({ state: "checking", error: expect.stringContaining("-32016") });
  made.node.advance(1);
  expect(await poke(made)).toMatchObject({ state: "whole", error: null });
});

it("finds a movement below pages of later transactions", async () => {
  const made = quiet();
  const busy = addressOf(FIRST);
  let pages = 0;
  made.node.onRequest = (methods) => {
    made.node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] !== "getMultipleAccounts") return;
    pages += 1;
    if (pages === 2) made.node.move(busy, addressOf(LAST), 30n);
    const later = LIMITS.rpcFirstSignatures + LIMITS.rpcSignatures + 5;
    if (pages === 4) for (let count = 0; count < later; count++) made.node.touch(busy, { failed: count % 2 === 0 });
  };
  await poke(made);
  expect(await amountsOf(made)).toEqual({ ...ALL, [FIRST]: EACH - 30n });
});

it("turns a page at no node that has not heard of where it begins", async () => {
  const made = quiet();
  const busy = addressOf(FIRST);
  let [pages, listings, checkedAt] = [0, 0, 0];
  made.node.onRequest = (methods) => {
    made.node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] === "getMultipleAccounts") {
      pages += 1;
      if (pages === 2) made.node.move(busy, addressOf(LAST), 30n);
      if (pages === 4) checkedAt = made.node.slot;
    } else if (methods[0] === "getSignaturesForAddress") {
      listings += 1;
      // One node tells of transactions that are newer than the check, and the next one only knows what the check knew.
      if (listings === 1) for (let count = 0; count < LIMITS.rpcFirstSignatures; count++) made.node.touch(busy);
      if (listings === 2) made.node.lag = made.node.slot - checkedAt;
    }
  };
  // Two wallets a page, and all of them checked at once.
  const linkedWallets: LinkedWallets = (after) => made.parts.linkedWallets(after, 2);
  const parts = { ...made.parts, stepWallets: NAMES.length, linkedWallets };
  expect(await poke({ parts })).toMatchObject({ state: "whole", error: null });
  expect(listings).toBeGreaterThan(2);
  expect(await amountsOf(made)).toEqual({ ...ALL, [FIRST]: EACH - 30n });
});

it("reads the latest transactions of an account that is in too many, so that it cannot be flooded away", async () => {
  const made = quiet();
  const busy = addressOf(FIRST);
  let pages = 0;
  made.node.onRequest = (methods) => {
    made.node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] !== "getMultipleAccounts" || ++pages !== 2) return;
    made.node.move(busy, addressOf(LAST), 90n);
    made.node.move(addressOf(LAST), busy, 90n);
    made.node.move(busy, addressOf(LAST), 10n);
    for (let count = 0; count < LIMITS.stakeWalletTransactions; count++) made.node.touch(busy);
  };
  expect(await poke(made)).toMatchObject({ state: "whole", error: null });
  // What it had when the reading ended, though not all that it had before.
  expect(await amountsOf(made)).toEqual({ ...ALL, [FIRST]: EACH - 10n });
  // The other one's three transactions beside them.
  expect(made.node.calls.get("getTransaction")).toBe(LIMITS.stakeWalletTransactions + 3);
});

it("checks fewer wallets at a time where they are in many transactions", async () => {
  const names = Array.from({ length: LIMITS.stakeBusyWallets + 50 }, (_, index) => `holder ${index}`);
  const made = world(names);
  const each = Object.fromEntries(names.map((name) => [name, EACH]));
  for (const name of names) made.node.set(addressOf(name), EACH);
  const everybody = names.map((name) => addressOf(name));
  let pages = 0;
  made.node.onRequest = (methods) => {
    made.node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] !== "getMultipleAccounts" || ++pages !== 2) return;
    for (const wallet of everybody) made.node.move(wallet, addressOf("elsewhere"), 1n);
    for (let count = 0; count < LIMITS.rpcFirstSignatures; count++) made.node.touchAll(everybody);
  };
  const linkedWallets: LinkedWallets = async (after) => await made.parts.linkedWallets(after, names.length / 2);
  const parts = { ...made.parts, stepWallets: names.length, linkedWallets };
  // Its beginning, two pages and their end, and two for all that one check could do, and the end.
  expect(await poke({ parts })).toMatchObject({ state: "whole", error: null, steps: 7 });
  const wanted = Object.entries(each).map(([name, amount]) => [name, amount - 1n]);
  expect(await amountsOf(made)).toEqual(Object.fromEntries(wanted));
  // Transactions that they share are read once in a step.
  expect(made.node.calls.get("getTransaction")).toBe(names.length + 2 * LIMITS.rpcFirstSignatures);
});

it("reads no more transactions in a step than it can, and the rest in the next one", async () => {
  const holders = LIMITS.stakeTransactions / LIMITS.stakeWalletTransactions + 1;
  const names = Array.from({ length: holders }, (_, index) => `holder ${index}`);
  const made = world(names);
  for (const name of names) made.node.set(addressOf(name), EACH);
  let pages = 0;
  made.node.onRequest = (methods) => {
    made.node.advance(LIMITS.stakeHistorySlots);
    if (methods[0] !== "getMultipleAccounts" || ++pages !== 2) return;
    for (const name of names) {
      for (let count = 1; count < LIMITS.stakeWalletTransactions; count++) made.node.touch(addressOf(name));
      made.node.move(addressOf(name), addressOf("elsewhere"), 1n);
    }
  };
  const linkedWallets: LinkedWallets = async (after) =>
    await made.parts.linkedWallets(after, Math.ceil(names.length / 2));
  const parts = { ...made.parts, stepWallets: names.length, linkedWallets };
  // Its beginning, two pages and their end, all but one of the wallets, that one, and the end.
  expect(await poke({ parts })).toMatchObject({ state: "whole", error: null, steps: 7 });
  expect(await amountsOf(made)).toEqual(Object.fromEntries(names.map((name) => [name, EACH - 1n])));
  expect(made.node.calls.get("getTransaction")).toBe(names.length * LIMITS.stakeWalletTransactions);
});

it("keeps to one reading when two pokes come at the same time", async () => {
  const made = quiet();
  const results = await Promise.all([poke(made), poke(made), poke(made)]);
  expect(results.map(({ state, error }) => [state, error])).toEqual(Array.from({ length: 3 }, () => ["whole", null]));
  expect(await amountsOf(made)).toEqual(ALL);
  expect(await readingOf()).toMatchObject({ wallets: NAMES.length, state: "whole" });
});

/** D1 and the node until the k-th thing that is asked of them: then the Worker is gone, before or after it was done. */
function mortal(made: World, k: number, isDone: boolean): World {
  let count = 0;
  const dies = async <T>(act: () => Promise<T>, end: () => T): Promise<T> => {
    count += 1;
    if (count < k) return await act();
    if (count === k && isDone) await act();
    return end();
  };
  const killed = (): never => {
    throw new Error("killed");
  };
  const originals = new WeakMap<D1PreparedStatement, D1PreparedStatement>();
  const wrap = (real: D1PreparedStatement): D1PreparedStatement => {
    const wrapped = new Proxy(real, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        if (name === "bind") return (...values: unknown[]) => wrap(target.bind(...values));
        return async (...values: unknown[]) =>
          await dies(async () => await (value.apply(target, values) as Promise<unknown>), killed);
      },
    });
    originals.set(wrapped, real);
    return wrapped;
  };
  const db = new Proxy(env.DB, {
    get(target, name) {
      if (name === "prepare") return (sql: string) => wrap(target.prepare(sql));
      if (name !== "batch") return Reflect.get(target, name) as unknown;
      return async (list: D1PreparedStatement[]) =>
        await dies(async () => await target.batch(list.map((one) => originals.get(one) ?? one)), killed);
    },
  });
  // What is not asked again, so that no test waits for it.
  const gone = () => new Response("", { status: 400 });
  vi.stubGlobal("fetch", async (...args: Parameters<typeof made.node.fetch>) => {
    return await dies(async () => await made.node.fetch(...args), gone);
  });
  return { ...made, parts: { ...made.parts, db } };
}

it("goes on wherever it was killed, before and after each thing that it asks for", async () => {
  const made = quiet();
  let epoch = EPOCH;
  const play = async (k: number, isDone: boolean): Promise<string | null> => {
    epoch += 1;
    let pages = 0;
    made.node.onRequest = (methods) => {
      made.node.advance(LIMITS.stakeHistorySlots);
      if (methods[0] !== "getMultipleAccounts" || ++pages !== 2) return;
      made.node.move(addressOf(FIRST), addressOf(LAST), 5n);
      made.node.move(addressOf(LAST), addressOf(FIRST), 5n);
    };
    const { error } = await poke(mortal(made, k, isDone), { epoch });
    vi.stubGlobal("fetch", made.node.fetch);
    expect(await poke(made, { epoch })).toMatchObject({ state: "whole", error: null });
    expect(await amountsOf(made, epoch)).toEqual({ ...ALL, [FIRST]: EACH - 5n });
    expect(await readingOf(epoch)).toMatchObject({ wallets: NAMES.length });
    return error;
  };
  let kills = 0;
  for (let k = 1; ; k++) {
    const errors = [await play(k, false), await play(k, true)];
    if (errors.every((error) => error === null)) break;
    kills += 1;
    if (k > 100) throw new Error("it never ends");
  }
  // A slot, and per step a look at the row: three pages of balances, three of checks, and the ends.
  expect(kills).toBeGreaterThan(25);
  expect(Object.keys(await snapshotOf(EPOCH))).toEqual([]);
}, 60_000);
