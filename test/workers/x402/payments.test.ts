/** Payments that come with a call: what is offered, what is refused and why, and what becomes of what is taken. */

import { env } from "cloudflare:workers";
import { base64, utf8 } from "@scure/base";
import { ComputeBudgetProgram, SystemProgram } from "@solana/web3.js";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { getIntent } from "../../../db/deposit-intents.ts";
import { duePayments, type PaymentRow } from "../../../db/x402-payments.ts";
import type { PaymentRequirements } from "../../../protocol/x402/messages.ts";
import { follow, settlePayments } from "../../../workers/x402/settle.ts";
import { keyOf, TREASURY } from "../../support/payments.ts";
import { FEE_PAYER, keypair, PAYER, partsOf, paymentHeader, signedPayment } from "../../support/x402.ts";
import { callWith, openAccount, type TestAccount } from "../api/support.ts";
import { Breaking } from "../deposits/breaking.ts";
import { available, forgetDeposits, SOLANA, scan, told, wrongSums } from "../deposits/support.ts";
import { addModel } from "../job/network.ts";
import { BINDINGS, type FakeNode, headerFor, newNode, offers, starterOf, take, wantedFor } from "./support.ts";

const STARTER = "50000000.000";
const EXACT = ["credited exact package 50000000"];
const SOON = { waitMs: 200, pollMs: 1 };

let account: TestAccount;
let opened = 0;
beforeEach(async () => {
  await forgetDeposits();
  account = await openAccount(`x402-${(opened += 1)}`, false);
});

async function chat(bindings: Partial<Env>, headers: Record<string, string> = {}) {
  await addModel();
  const body = { model: "test-model", messages: [{ role: "user", content: "Hi" }], max_tokens: 100 };
  return await callWith(bindings, "/v1/chat/completions", { key: account.key, body, headers });
}

const decoded = (header: string | null) => JSON.parse(utf8.encode(base64.decode(header ?? "")));

/** Takes a payment and follows it to its end. */
async function pay(node: FakeNode, header: string, times: Parameters<typeof follow>[2] = SOON) {
  const taken = await take(node.desk(), account, header);
  if (!taken.ok) return taken.refusal.code;
  return await follow(node.desk(), taken.value, times);
}

async function expectNothing(node: FakeNode): Promise<void> {
  expect(node.sent).toEqual([]);
  expect([await available(account), await told(), await duePayments(env.DB, 9)]).toEqual(["0.000", [], []]);
}

describe("a 402", () => {
  it("offers a top-up that covers what is missing and every package, in a header and in its body", async () => {
    const { status, headers, json } = await chat(BINDINGS);
    expect(status).toBe(402);
    const { x402, packages } = json.error.metadata;
    expect(decoded(headers.get("payment-required"))).toEqual(x402);
    expect(x402).toMatchObject({ x402Version: 2, resource: { url: "https://tollmill.test/v1/chat/completions" } });
    expect(x402.accepts.map(({ amount, extra }: PaymentRequirements) => [extra.kind, extra.package, amount])).toEqual([
      ["topup", null, "1000000"],
      ["package", "starter", "50000000"],
      ["package", "team", "400000000"],
      ["package", "scale", "3000000000"],
    ]);
    for (const accepted of x402.accepts) {
      expect(accepted).toMatchObject({
        scheme: "exact",
        network: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
        asset: TREASURY.mint,
        payTo: TREASURY.owner,
        maxTimeoutSeconds: 60,
        extra: { feePayer: FEE_PAYER.publicKey.toBase58() },
      });
    }
    expect(packages.map(({ id }: { id: string }) => id)).toEqual(["starter", "team", "scale"]);
    expect(headers.get("access-control-expose-headers")).toMatch(/payment-required,payment-response/);
  });

  it("offers nothing to pay at once where nobody pays Solana's fees, and no package where no deposits are taken", async () => {
    const links = await chat(SOLANA);
    expect([links.headers.has("payment-required"), links.json.error.metadata.x402]).toEqual([false, null]);
    expect(links.json.error.metadata.packages).toHaveLength(3);
    const none = await chat({});
    expect(none.json.error.metadata).toMatchObject({ packages: [], x402: null });
    const refused = await chat(SOLANA, { "payment-signature": headerFor(starterOf(account)) });
    expect([refused.status, refused.json.error.code]).toEqual([503, "payments_unavailable"]);
  });
});

describe("a payment is refused, and nothing is sent or stored,", () => {
  const topUp = (header: PaymentRequirements) => ({ ...header, amount: "1" });
  const altered = (of: PaymentRequirements, extra: object) => ({ ...of, extra: { ...of.extra, ...extra } });

  it.each<[string, string, (starter: PaymentRequirements) => string]>([
    [
      "for another network",
      "payment_wrong_network",
      (of) => headerFor({ ...of, network: "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp" }),
    ],
    ["in another scheme", "payment_wrong_network", (of) => headerFor({ ...of, scheme: "upto" })],
    ["in another coin", "payment_wrong_mint", (of) => headerFor({ ...of, asset: keyOf(90) })],
    ["to somebody else", "payment_wrong_destination", (of) => headerFor({ ...of, payTo: keyOf(91) })],
    ["of an amount that was never asked for", "payment_unknown", (of) => headerFor(topUp(of))],
    ["of another package at this price", "payment_unknown", (of) => headerFor(altered(of, { package: "scale" }))],
    ["under another deposit", "payment_unknown", (of) => headerFor(altered(of, { deposit: "x402-mine" }))],
    ["with a memo of its own", "payment_unknown", (of) => headerFor(altered(of, { memo: keyOf(92) }))],
    ["for longer than it was asked for", "payment_unknown", (of) => headerFor(altered(of, { expiresAt: 9e15 }))],
    [
      "of another account",
      "payment_unknown",
      () => headerFor(starterOf({ account: "a".repeat(22) as TestAccount["account"] })),
    ],
    [
      "that is less than it says",
      "payment_wrong_amount",
      (of) => paymentHeader(of, signedPayment(wantedFor({ ...of, amount: "1" }))),
    ],
    [
      "in a coin that is none",
      "payment_wrong_mint",
      (of) => paymentHeader(of, signedPayment({ ...wantedFor(of), mint: keyOf(93) })),
    ],
    [
      "to another token account",
      "payment_wrong_destination",
      (of) => paymentHeader(of, signedPayment({ ...wantedFor(of), tokenAccount: keyOf(94) })),
    ],
    ["that does more", "payment_foreign_instruction", (of) => headerFor(of, more(of))],
    ["that costs more", "payment_fee_too_high", (of) => headerFor(of, dear(of))],
    ["that nobody has signed", "payment_wrong_signature", (of) => headerFor(of, { signers: [] })],
    ["that is no transaction", "invalid_payment", (of) => paymentHeader(of, new Uint8Array(99).fill(7))],
    [
      "of the version before",
      "invalid_payment",
      (of) => paymentHeader(of, signedPayment(wantedFor(of)), { x402Version: 1 }),
    ],
    ["that is no JSON", "invalid_payment", () => "AAAA"],
  ])("%s", async (_what, code, header) => {
    const node = newNode();
    const text = header(starterOf(account));
    expect(await pay(node, text)).toBe(code);
    await expectNothing(node);
  });

  function more(of: PaymentRequirements) {
    const { limit, price, transfer, memo } = partsOf(wantedFor(of));
    const extra = SystemProgram.transfer({ fromPubkey: PAYER.publicKey, toPubkey: PAYER.publicKey, lamports: 1 });
    return { instructions: [limit, price, transfer, memo, extra] };
  }

  function dear(of: PaymentRequirements) {
    const { price, transfer, memo } = partsOf(wantedFor(of));
    const limit = ComputeBudgetProgram.setComputeUnitLimit({ units: 1_400_000 });
    return { instructions: [limit, price, transfer, memo] };
  }

  it("after its time", async () => {
    const node = newNode();
    const header = headerFor(starterOf(account, Date.now() - LIMITS.x402ChallengeMs - 1));
    expect(await pay(node, header)).toBe("payment_expired");
    await expectNothing(node);
  });

  it.each([
    ["BlockhashNotFound", "payment_blockhash_expired"],
    [{ InstructionError: [2, { Custom: 1 }] }, "payment_insufficient_funds"],
    [{ InstructionError: [2, "InvalidAccountData"] }, "payment_insufficient_funds"],
    [{ InstructionError: [2, { Custom: 17 }] }, "payment_failed"],
    [{ InstructionError: [3, { Custom: 1 }] }, "payment_failed"],
    ["InsufficientFundsForFee", "payments_unavailable"],
    ["AccountNotFound", "payments_unavailable"],
  ])("when Solana says %j", async (error, code) => {
    const node = newNode();
    node.error = error;
    expect(await pay(node, headerFor(starterOf(account)))).toBe(code);
    await expectNothing(node);
  });

  it("with a key that may not ask for an answer, or is none any more", async () => {
    const body = { name: "reader", scopes: ["read"] };
    const { json } = await callWith({}, "/api/v1/keys", { key: account.key, body });
    const headers = { "payment-signature": headerFor(starterOf(account)) };
    const { status } = await callWith(BINDINGS, "/v1/chat/completions", {
      key: json.key,
      body: { model: (await addModel()).id, messages: [{ role: "user", content: "Hi" }] },
      headers,
    });
    expect(status).toBe(403);
    await expectNothing(newNode());
  });

  it("with a PAYMENT-RESPONSE that says why", async () => {
    const header = headerFor({ ...starterOf(account), network: "solana:elsewhere" });
    const { status, headers, json } = await chat(BINDINGS, { "payment-signature": header });
    expect([status, json.error.code]).toEqual([402, "payment_wrong_network"]);
    expect(decoded(headers.get("payment-response"))).toEqual({
      success: false,
      errorReason: "payment_wrong_network",
      transaction: "",
      network: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
    });
  });
});

describe("a payment that is taken", () => {
  it("is stored before it is sent, and credited when it is final", async () => {
    const node = newNode();
    const accepted = starterOf(account);
    const taken = await take(node.desk(), account, headerFor(accepted));
    if (!taken.ok) throw new Error(taken.refusal.code);
    expect(node.sent).toEqual([]);
    const [stored] = await duePayments(env.DB, 9);
    expect(stored).toEqual(taken.value);
    expect(await getIntent(env.DB, account.account, accepted.extra.deposit)).toMatchObject({
      via: "x402",
      package: "starter",
      reference: accepted.extra.memo,
    });
    node.looks = 3;
    expect(await follow(node.desk(), taken.value, SOON)).toBe("final");
    expect(base64.encode(node.sent[0] ?? new Uint8Array())).toBe(stored?.bytes);
    expect([await told(), await available(account), await wrongSums()]).toEqual([EXACT, STARTER, []]);
    await scan(node.chain);
    expect([await told(), await available(account)]).toEqual([EXACT, STARTER]);
  });

  it("is found by the scan for deposits too, which knows it by its memo", async () => {
    const node = newNode();
    const taken = await take(node.desk(), account, headerFor(starterOf(account)));
    if (!taken.ok) throw new Error(taken.refusal.code);
    await node.send(base64.decode(taken.value.bytes));
    await scan(node.chain);
    expect([await told(), await available(account)]).toEqual([EXACT, STARTER]);
    await settlePayments(node.desk());
    expect([await told(), await available(account), await duePayments(env.DB, 9)]).toEqual([EXACT, STARTER, []]);
  });

  it("is under way until its account has the credits", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const node = newNode();
    const away = { getByName: () => ({ credit: () => Promise.reject(new Error("the account is away")) }) };
    const desk = node.desk({ ACCOUNT: away as unknown as Env["ACCOUNT"] });
    const taken = await take(desk, account, headerFor(starterOf(account)));
    if (!taken.ok) throw new Error(taken.refusal.code);
    expect(await follow(desk, taken.value, SOON)).toBe("pending");
    expect(await told()).toEqual(["seen exact package 50000000"]);
    expect(await follow(node.desk(), taken.value, SOON)).toBe("final");
    expect([await told(), await available(account)]).toEqual([EXACT, STARTER]);
  });

  it("is looked for by its signature alone, as no account on the chain has its memo's address", async () => {
    const node = newNode();
    const accepted = starterOf(account);
    expect(await pay(node, headerFor(accepted))).toBe("final");
    await scan(node.chain);
    expect(node.chain.calls.filter((call) => call.includes(accepted.extra.memo))).toEqual([]);
  });

  it("is never credited before it is final, and told to be on its way", async () => {
    const node = newNode();
    node.looks = 1_000;
    const header = headerFor(starterOf(account));
    expect(await pay(node, header, { waitMs: 20, pollMs: 1 })).toBe("pending");
    expect([await told(), await available(account)]).toEqual([[], "0.000"]);
    expect(node.sent).toHaveLength(1);
    node.looks = 0;
    // The same call again goes on with it.
    expect(await pay(node, header, { waitMs: 5_000, pollMs: 1 })).toBe("final");
    expect([await told(), await available(account), node.sent.length]).toEqual([EXACT, STARTER, 1]);
    expect(await pay(node, header)).toBe("final");
    expect(await available(account)).toBe(STARTER);
  });

  it("is sent again with the same bytes while nobody has heard of it, and is over when it can never land", async () => {
    const node = newNode();
    node.fate = "drops";
    const header = headerFor(starterOf(account));
    expect(await pay(node, header, { waitMs: 30, pollMs: 1 })).toBe("pending");
    const texts = new Set(node.sent.map((bytes) => base64.encode(bytes)));
    expect([node.sent.length > 1, texts.size]).toEqual([true, 1]);
    node.block += LIMITS.x402BlockhashBlocks;
    expect(await pay(node, header, { waitMs: 5, pollMs: 1 })).toBe("pending");
    node.block += 1;
    expect(await pay(node, header)).toBe("expired");
    expect([await told(), await available(account)]).toEqual([[], "0.000"]);
    expect(await pay(node, header)).toBe("expired");
  });

  it("is not given up on the word of a node that lags", async () => {
    const node = newNode();
    node.fate = "drops";
    const header = headerFor(starterOf(account));
    const taken = await take(node.desk(), account, header);
    if (!taken.ok) throw new Error(taken.refusal.code);
    node.block += LIMITS.x402BlockhashBlocks + 1;
    const lagging = { ...node.desk(), node: lag(node) };
    expect(await follow(lagging, taken.value, { waitMs: 5, pollMs: 1 })).toBe("pending");
  });

  function lag(node: FakeNode) {
    return {
      simulate: () => node.simulate(),
      tip: () => node.tip(),
      send: (bytes: Uint8Array) => node.send(bytes),
      status: async (signature: string) => ({ ...(await node.status(signature)), slot: 1 }),
    };
  }

  it("that fails on the chain leaves a deposit that says so, and no credits", async () => {
    const node = newNode();
    node.fate = "fails";
    expect(await pay(node, headerFor(starterOf(account)))).toBe("failed");
    expect([await told(), await available(account)]).toEqual([["failed failed topup 0"], "0.000"]);
  });

  it("is one, however many come for its challenge", async () => {
    const node = newNode();
    node.looks = 20;
    const [topup, starter] = offers(account) as [PaymentRequirements, PaymentRequirements];
    expect(topup.extra.deposit).toBe(starter.extra.deposit);
    const header = headerFor(starter);
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => pay(node, header, { waitMs: 5_000, pollMs: 5 })),
    );
    expect(new Set(outcomes)).toEqual(new Set(["final"]));
    expect(new Set(node.sent.map((bytes) => base64.encode(bytes))).size).toBe(1);
    expect([await told(), await available(account)]).toEqual([EXACT, STARTER]);
    // Another payment of it is not taken, whatever of it is paid.
    for (const accepted of [starter, topup]) {
      expect(await pay(node, headerFor(accepted, { blockhash: keyOf(71) }))).toBe("payment_used");
    }
    expect(await available(account)).toBe(STARTER);
  });

  it("keeps its wallet from paying another one until it has ended", async () => {
    const node = newNode();
    node.looks = 1_000;
    expect(await pay(node, headerFor(starterOf(account)), { waitMs: 0 })).toBe("pending");
    expect(await pay(node, headerFor(starterOf(account)))).toBe("payment_limit");
    expect(node.sent).toHaveLength(1);
  });

  it("is one of a bounded number that an account may have under way or failed within an hour", async () => {
    const node = newNode();
    node.fate = "fails";
    for (let n = 0; n < LIMITS.x402OpenPayments; n++) {
      expect(await pay(node, headerFor(starterOf(account)))).toBe("failed");
    }
    expect(await pay(node, headerFor(starterOf(account)))).toBe("payment_limit");
    expect(node.sent).toHaveLength(LIMITS.x402OpenPayments);
    const later = Date.now() + LIMITS.x402OpenMs + 1;
    expect(await take(node.desk(), account, headerFor(starterOf(account, later)), later)).toMatchObject({ ok: true });
  });

  it("is of another wallet where the account has several", async () => {
    const node = newNode();
    node.looks = 1_000;
    const second = starterOf(account);
    const other = keypair(20);
    const { limit, price, transfer, memo } = partsOf(wantedFor(second), other);
    const draft = { instructions: [limit, price, transfer, memo], signers: [other] };
    expect(await pay(node, headerFor(starterOf(account)), { waitMs: 0 })).toBe("pending");
    expect(await pay(node, headerFor(second, draft), { waitMs: 0 })).toBe("pending");
  });
});

describe.each(["before", "after"] as const)("a network that dies %s a step", (when) => {
  it("credits a payment once, or leaves it with its payer, whichever step it is", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const outcomes = new Set<string>();
    let credited = 0;
    let step = 1;
    for (; step < 60; step++) {
      await forgetDeposits();
      const node = newNode();
      node.looks = 1;
      const header = headerFor(starterOf(account));
      const breaking = new Breaking(step, when);
      const desk = { ...node.desk(breaking.bindings), node: breaking.node(node), chain: breaking.chain(node.chain) };
      const taken = await take(desk, account, header).catch(() => null);
      if (taken?.ok === true) await follow(desk, taken.value, { waitMs: 0 });
      const hadBroken = breaking.hasBroken;
      const stored: readonly PaymentRow[] = await duePayments(env.DB, 9);
      // Whether its client comes again, or only the clock.
      if (step % 2 === 0) expect([step, await pay(node, header)]).toEqual([step, "final"]);
      else for (let poke = 0; poke < 4; poke++) await settlePayments(node.desk());
      const isPaid = (await told()).length > 0;
      expect([step, isPaid]).toEqual([step, step % 2 === 0 || stored.length > 0]);
      credited += isPaid ? 1 : 0;
      expect([step, await told()]).toEqual([step, isPaid ? EXACT : []]);
      expect([step, await available(account)]).toEqual([step, credited === 0 ? "0.000" : `${50 * credited}000000.000`]);
      outcomes.add(isPaid ? "paid" : "kept");
      if (!hadBroken) break;
    }
    expect(outcomes).toEqual(new Set(["paid", "kept"]));
    expect(step).toBeGreaterThan(8);
    expect(step).toBeLessThan(60);
  }, 120_000);
});
