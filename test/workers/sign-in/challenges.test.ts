import { env } from "cloudflare:workers";
import { ed25519 } from "@noble/curves/ed25519.js";
import { base58 } from "@scure/base";
import { afterEach, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { app } from "../../../workers/app.ts";
import { pseudonymOf } from "../../../workers/auth.ts";
import { configOf } from "../../../workers/config.ts";
import { walletOf } from "../../support/wallet.ts";
import { call, callWith, forbiddenObjects } from "../api/support.ts";
import { challengeOf, codeOf, proofOf, signIn, verify } from "./support.ts";

const alice = walletOf("alice");
const INVALID = [401, "invalid_challenge"];
const UNSIGNED = [401, "invalid_signature"];

afterEach(() => {
  vi.useRealTimers();
});

const later = (ms: number) => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
const challengesLeft = async () =>
  (await env.DB.prepare("SELECT count(*) AS count FROM challenges").first<{ count: number }>())?.count;

it("gives the input of a wallet's sign-in and the text of it, and lets nobody keep it", async () => {
  const { json, headers } = await call("/api/v1/auth/challenge", { body: { address: alice.address } });
  const { input, message, expires_at } = json;
  expect(headers.get("cache-control")).toBe("no-store");
  expect(input).toEqual({
    domain: "tollmill.test",
    address: alice.address,
    statement: "Sign in to Tollmill. This moves nothing and costs nothing.",
    uri: "https://tollmill.test",
    version: "1",
    chainId: "solana:localnet",
    nonce: expect.stringMatching(/^[0-9A-Za-z]{22}$/) as unknown,
    issuedAt: expect.any(String) as unknown,
    expirationTime: expires_at,
    requestId: headers.get("x-request-id"),
    resources: ["https://tollmill.test/docs"],
  });
  expect(Date.parse(expires_at) - Date.parse(input.issuedAt)).toBe(5 * 60_000);
  expect(message.split("\n").slice(0, 2)).toEqual([
    "tollmill.test wants you to sign in with your Solana account:",
    alice.address,
  ]);
  const second = await challengeOf(alice);
  expect(second.message).not.toBe(message);
});

it("opens an account at a wallet's first sign-in, and finds it at the next", async () => {
  const first = await signIn("alice");
  expect([first.status, first.json.opened, first.json.wallet]).toEqual([201, true, alice.address]);
  expect(first.json.access_token).toMatch(new RegExp(`^tms_${first.json.account}[0-9A-Za-z]{49}$`));
  const second = await signIn("alice");
  expect([second.status, second.json.opened]).toEqual([200, false]);
  expect([second.json.account, second.json.member]).toEqual([first.json.account, first.json.member]);
  expect(second.json.id).not.toBe(first.json.id);
  expect((await signIn("bob")).json.account).not.toBe(first.json.account);
  const { json } = await call("/api/v1/team", { key: first.json.access_token });
  expect(json.data).toMatchObject([{ id: first.json.member, role: "owner", keys: 0 }]);
  // Whoever reads receipts finds the account by its pseudonym.
  const { account } = first.json;
  const row = await env.DB.prepare("SELECT pseudonym FROM accounts WHERE id = ?").bind(account).first();
  expect(row).toEqual({ pseudonym: pseudonymOf(account, configOf(env)) });
});

it("takes an answer once", async () => {
  const { message } = await challengeOf(alice);
  expect((await verify(proofOf(alice, message))).status).toBe(201);
  expect(codeOf(await verify(proofOf(alice, message)))).toEqual(INVALID);
});

it("makes one session of many answers at once", async () => {
  const { message } = await challengeOf(alice);
  const answers = await Promise.all(Array.from({ length: 20 }, () => verify(proofOf(alice, message))));
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, ...Array(19).fill(401)]);
  const { access_token } = answers.find(({ status }) => status === 201)?.json ?? {};
  expect((await call("/api/v1/auth/sessions", { key: access_token })).json.data).toHaveLength(1);
});

it("lets two first sign-ins at once meet in one account", async () => {
  const challenges = await Promise.all([1, 2, 3, 4].map(() => challengeOf(alice)));
  const answers = await Promise.all(challenges.map(({ message }) => verify(proofOf(alice, message))));
  expect(new Set(answers.map(({ json }) => json.account)).size).toBe(1);
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 201]);
});

it("takes no answer after five minutes, and one just before", async () => {
  const [early, late] = [await challengeOf(alice), await challengeOf(alice)];
  later(LIMITS.signInChallengeMs - 2_000);
  expect((await verify(proofOf(alice, early.message))).status).toBe(201);
  later(2_000);
  expect(codeOf(await verify(proofOf(alice, late.message)))).toEqual(INVALID);
});

it("takes no answer on another domain, for another purpose, of another wallet, or to another text", async () => {
  const { message } = await challengeOf(alice);
  const elsewhere = new Request("https://tollmill.test.evil/api/v1/auth/verify", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(proofOf(alice, message)),
  });
  const answered = await app.fetch(elsewhere, env);
  expect([answered.status, (await answered.json<{ code: string }>()).code]).toEqual(INVALID);
  const bob = walletOf("bob");
  expect(codeOf(await verify(proofOf(bob, message)))).toEqual(INVALID);
  for (const text of [`${message}\n`, ` ${message}`, message.replace("tollmill", "Tollmill"), message.slice(0, -1)]) {
    expect(codeOf(await verify(proofOf(alice, text)))).toEqual(INVALID);
  }
  // A text that nobody was given, as well signed as it may be.
  const other = message.replace(/Nonce: \w+/, "Nonce: 0000000000000000000000");
  expect(codeOf(await verify(proofOf(alice, other)))).toEqual(INVALID);
  expect((await verify(proofOf(alice, message))).status).toBe(201);
});

it("takes no signature but the wallet's own over the very text, and leaves the challenge open for that", async () => {
  const bob = walletOf("bob");
  const { message } = await challengeOf(alice);
  const good = base58.decode(alice.sign(message));
  const flipped = good.slice();
  flipped[10] = (flipped[10] ?? 0) ^ 1;
  const signatures = [
    bob.sign(message),
    alice.sign(`${message} `),
    base58.encode(flipped),
    base58.encode(plusOrder(good)),
  ];
  for (const signature of signatures) {
    expect(codeOf(await verify({ ...proofOf(alice, message), signature }))).toEqual(UNSIGNED);
  }
  for (const signature of ["", "0".repeat(64), base58.encode(good.subarray(0, 63)), `1${base58.encode(good)}`]) {
    const { status, json } = await verify({ ...proofOf(alice, message), signature });
    expect([status, json.code, json.param]).toEqual([400, "invalid_request", "signature"]);
  }
  expect((await verify(proofOf(alice, message))).status).toBe(201);
});

/** The malleated form of a signature: its scalar plus the group's order, which lax verifiers take for the same. */
function plusOrder(signature: Uint8Array): Uint8Array {
  const order = ed25519.Point.Fn.ORDER;
  let scalar = 0n;
  for (const byte of signature.subarray(32).toReversed()) scalar = (scalar << 8n) | BigInt(byte);
  const result = signature.slice();
  for (let i = 32, rest = scalar + order; i < 64; i++, rest >>= 8n) result[i] = Number(rest & 255n);
  return result;
}

it("gives no challenge to a key of small order, or one that is written in more than one way", async () => {
  const zero = new Uint8Array(32);
  const one = Uint8Array.from([1, ...zero.subarray(1)]);
  const order8 = ed25519.Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a").toBytes();
  const notCanonical = Uint8Array.from([0xee, ...Array(30).fill(0xff), 0x7f]);
  const mixed = ed25519.Point.BASE.add(ed25519.Point.fromBytes(order8)).toBytes();
  for (const key of [zero, one, order8, notCanonical, mixed]) {
    const { status, json } = await call("/api/v1/auth/challenge", { body: { address: base58.encode(key) } });
    expect([status, json.code]).toEqual([400, "weak_public_key"]);
  }
  expect(await challengesLeft()).toBe(0);
});

it("drops challenges that have expired as new ones come", async () => {
  await Promise.all(Array.from({ length: 20 }, () => challengeOf(alice)));
  expect(await challengesLeft()).toBe(20);
  later(LIMITS.signInChallengeMs + 1_000);
  await challengeOf(alice);
  expect(await challengesLeft()).toBe(5);
  await challengeOf(alice);
  expect(await challengesLeft()).toBe(2);
});

it("bounds what one address asks for and answers, and says when to come again", async () => {
  const tried: string[] = [];
  const JOIN_LIMIT = {
    limit: ({ key }: RateLimitOptions) => {
      tried.push(key);
      return Promise.resolve({ success: key !== "sign-in/192.0.2.1" });
    },
  };
  const bindings = { ...forbiddenObjects().bindings, JOIN_LIMIT };
  const from = (address: string) => ({ headers: { "cf-connecting-ip": address } });
  const body = { address: alice.address };
  const full = await callWith(bindings, "/api/v1/auth/challenge", { body, ...from("192.0.2.1") });
  expect([full.status, full.json.code, full.headers.get("retry-after")]).toEqual([429, "rate_limited", "60"]);
  expect(await challengesLeft()).toBe(0);
  const given = await callWith(bindings, "/api/v1/auth/challenge", { body, ...from("192.0.2.2") });
  expect(given.status).toBe(200);
  const answer = proofOf(alice, given.json.message);
  const refused = await callWith(bindings, "/api/v1/auth/verify", { body: answer, ...from("192.0.2.1") });
  expect(codeOf(refused)).toEqual([429, "rate_limited"]);
  expect(tried).toEqual(["sign-in/192.0.2.1", "sign-in/192.0.2.2", "sign-in/192.0.2.1"]);
});
