import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { GENESIS_PARAMETERS, withParameters } from "../../../core/parameters.ts";
import { DAY_MS } from "../../../core/time.ts";
import { walletsOf } from "../../../db/wallets.ts";
import { grantStarter } from "../../../workers/starter.ts";
import { SolanaHistory, type WalletHistory } from "../../../workers/wallet-history.ts";
import { walletOf } from "../../support/wallet.ts";
import { call, openAccount } from "../api/support.ts";
import { challengeOf, proofOf, signIn, verify } from "./support.ts";

const STARTER = GENESIS_PARAMETERS.starterMillicredits;
const OLD: WalletHistory = { isKnownBefore: () => Promise.resolve(true) };
const YOUNG: WalletHistory = { isKnownBefore: () => Promise.resolve(false) };
const AWAY: WalletHistory = { isKnownBefore: () => Promise.reject(new Error("away")) };

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A wallet that has signed in, and what its account has. */
async function signedIn(name: string) {
  const { account, member, access_token: key } = (await signIn(name)).json;
  const [row] = await walletsOf(env.DB, { account, member });
  if (row === undefined) throw new Error("not linked");
  const available = async () => (await call("/api/v1/balance", { key })).json.available;
  return {
    row,
    key,
    available,
    grant: (history: WalletHistory | null, bindings = env) => grantStarter(bindings, row, history),
  };
}

it("grants a wallet with a past its starter balance, once, as a bonus of thirty days", async () => {
  const { key, grant, available } = await signedIn("alice");
  expect(await grant(OLD)).toBe("granted");
  expect(await grant(OLD)).toBe("granted_before");
  expect(await available()).toBe("1200.000");
  const [lot] = (await call("/api/v1/balance", { key })).json.lots;
  expect([lot.kind, lot.backing]).toEqual(["bonus", "none"]);
  expect(Math.abs(Date.parse(lot.expires_at) - Date.now() - 30 * DAY_MS)).toBeLessThan(60_000);
});

it("asks again where the wallet is young or nobody can tell", async () => {
  const { grant, available } = await signedIn("alice");
  expect(await grant(YOUNG)).toBe("too_young");
  expect(await grant(AWAY)).toBe("unknown");
  expect(await grant(null)).toBe("unknown");
  expect(await available()).toBe("0.000");
  expect(await grant(OLD)).toBe("granted");
});

it("grants one for a wallet and one for an account, however often at once", async () => {
  const { row, key, available, grant } = await signedIn("alice");
  const outcomes = await Promise.all(Array.from({ length: 8 }, () => grant(OLD)));
  expect(outcomes.filter((outcome) => outcome === "granted").length).toBeLessThanOrEqual(1);
  expect(await available()).toBe("1200.000");
  // Another wallet of the account, and this wallet in another account.
  const bob = walletOf("bob");
  const asked = await call("/api/v1/wallets/challenge", {
    key,
    body: { purpose: "link", address: bob.address, role: "sign_in" },
  });
  await call("/api/v1/wallets", { key, body: { ...proofOf(bob, asked.json.message), role: "sign_in" } });
  expect(await grantStarter(env, { ...row, address: bob.address }, OLD)).toBe("granted_before");
  const other = await signedIn("carol");
  expect(await grantStarter(env, { ...row, account: other.row.account }, OLD)).toBe("granted_before");
  expect([await available(), await other.available()]).toEqual(["1200.000", "0.000"]);
});

it("never passes the day's budget, and has a new one the next day", async () => {
  const budget = withParameters({ starterDailyMillicredits: 2 * STARTER + 1 });
  const poor = {
    ...env,
    TOLLMILL_PARAMETERS: JSON.stringify({ starterDailyMillicredits: budget.starterDailyMillicredits }),
  };
  const wallets = await Promise.all(["a", "b", "c", "d", "e"].map(signedIn));
  const outcomes = await Promise.all(wallets.map(({ grant }) => grant(OLD, poor)));
  const having = (outcome: string) => outcomes.filter((each) => each === outcome).length;
  expect([having("granted"), having("budget_spent")]).toEqual([2, 3]);
  const balances = await Promise.all(wallets.map(({ available }) => available()));
  expect(balances.filter((available) => available === "1200.000")).toHaveLength(2);
  const left = wallets[outcomes.indexOf("budget_spent")];
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS });
  expect(await left?.grant(OLD, poor)).toBe("granted");
});

it("brings what was granted when the account could not be reached", async () => {
  const { row, grant, available } = await signedIn("alice");
  const away = { ...env, ACCOUNT: { getByName: () => ({ credit: () => Promise.reject(new Error("away")) }) } };
  await expect(grantStarter(away as unknown as Env, row, OLD)).rejects.toThrow("away");
  expect(await available()).toBe("0.000");
  expect(await grant(null)).toBe("granted_before");
  expect(await available()).toBe("1200.000");
});

it("gives no second one to an account that an operator has given one", async () => {
  const { key, account } = await openAccount("given");
  const wallet = walletOf("alice");
  const body = { purpose: "link", address: wallet.address, role: "sign_in" };
  const asked = await call("/api/v1/wallets/challenge", { key, body });
  await call("/api/v1/wallets", { key, body: { ...proofOf(wallet, asked.json.message), role: "sign_in" } });
  const { message } = await challengeOf(wallet);
  const { json } = await verify(proofOf(wallet, message));
  const [row] = await walletsOf(env.DB, { account, member: json.member });
  expect(row && (await grantStarter(env, row, OLD))).toBe("granted_before");
  expect((await call("/api/v1/balance", { key })).json.available).toBe("1200.000");
});

it("gives none to a recovery wallet", async () => {
  const { row } = await signedIn("alice");
  expect(await grantStarter(env, { ...row, role: "recovery" }, OLD)).toBeNull();
});

const { address } = walletOf("alice");
const history = new SolanaHistory("https://node.test/?key=hidden");
const now = Date.now();

/** A node that answers with pages of signatures, newest first: so many, each a second older than the one before. */
function node(count: number, oldestSeconds: number | null) {
  const asked: { commitment: string; limit: number; before?: string }[] = [];
  const fetchPage = (_url: string, { body }: { body: string }) => {
    const { method, params } = JSON.parse(body);
    expect([method, params[0]]).toEqual(["getSignaturesForAddress", address]);
    asked.push(params[1]);
    const from = params[1].before === undefined ? 0 : Number(params[1].before) + 1;
    const result = Array.from({ length: Math.min(params[1].limit, count - from) }, (_, i) => {
      const isOldest = from + i === count - 1;
      const blockTime = isOldest ? oldestSeconds : Math.floor(now / 1_000) - from - i;
      return { signature: String(from + i), slot: 1, err: null, blockTime };
    });
    return Promise.resolve(Response.json({ jsonrpc: "2.0", id: 1, result }));
  };
  vi.stubGlobal("fetch", fetchPage);
  return asked;
}

const monthAgo = now - 30 * DAY_MS;

it("finds the oldest of a wallet's finalized transactions, page by page", async () => {
  const asked = node(2_500, Math.floor(monthAgo / 1_000) - 1);
  expect(await history.isKnownBefore(address, monthAgo)).toBe(true);
  expect(asked.map(({ commitment, before }) => [commitment, before])).toEqual([
    ["finalized", undefined],
    ["finalized", "999"],
    ["finalized", "1999"],
  ]);
});

it("knows no wallet whose oldest transaction is younger, has no time, or is none", async () => {
  for (const [count, seconds] of [
    [3, Math.ceil(monthAgo / 1_000)],
    [1, null],
    [0, null],
  ] as const) {
    node(count, seconds);
    expect(await history.isKnownBefore(address, monthAgo)).toBe(false);
  }
  const asked = node(20_000, 0);
  expect(await history.isKnownBefore(address, monthAgo)).toBe(false);
  expect(asked).toHaveLength(10);
});

it("fails without the node's address, which may hold a key, where it gets no list", async () => {
  for (const response of [
    new Response("no", { status: 429 }),
    Response.json({ error: { code: -32_005, message: "behind" } }),
  ]) {
    vi.stubGlobal("fetch", () => Promise.resolve(response));
    await expect(history.isKnownBefore(address, monthAgo)).rejects.toThrow(
      /^Solana's node answered with status \d+ and no list/,
    );
  }
});
