/**
 * Valid signed receipts for tests, made by the code that makes real ones. Deterministic: the same options give the same
 * bytes, in Node and in workerd.
 */

import { ed25519 } from "@noble/curves/ed25519.js";
import type { Draw } from "../../core/account/lots.ts";
import { chargeHold } from "../../core/account/resolve.ts";
import { GENESIS_HEAD, type Hold, type Link } from "../../core/account/state.ts";
import { type AccountId, base62, type DaemonId, type JobId, newJobId, type Pseudonym } from "../../core/ids.ts";
import { base64url, daemonIdOf } from "../../core/keys.ts";
import { GENESIS_PARAMETERS } from "../../core/parameters.ts";
import { formulaRate, priceOf, type Terms, type Tokens } from "../../core/pricing.ts";
import { composeReceipt, type JobFacts, type ReceiptBody, receiptBytes, receiptText } from "../../core/receipt/body.ts";
import { hashText, hexToBytes } from "../../core/receipt/canonical.ts";
import { claimBytes } from "../../core/receipt/claim.ts";
import { GENESIS_PEG, type Peg } from "../../core/units.ts";
import type { SignedReceipt } from "../../protocol/receipt.ts";
import { testSecrets } from "../secrets.ts";

/** 32 bytes that follow from a name. */
export const seedOf = (name: string): Uint8Array => hexToBytes(hashText(`tollmill test ${name}`));
/** An account id or a pseudonym that follows from a name. */
export const idOf = <T extends AccountId | Pseudonym>(name: string): T => base62(seedOf(name).subarray(0, 16)) as T;

export interface TestKey {
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
  /** The public key as a daemon's id. */
  readonly id: DaemonId;
}

/** An Ed25519 key that follows from a name. */
export function keyOf(name: string): TestKey {
  const secret = seedOf(name);
  const publicKey = ed25519.getPublicKey(secret);
  return { secret, publicKey, id: daemonIdOf(publicKey) };
}

export const TEST_NETWORK = "local";
/** The moment that test jobs are queued at: 2026-11-22 12:00 UTC. */
export const TEST_TIME = Date.UTC(2026, 10, 22, 12);

/** 8B q4: 80 nanoUSD a completion token, 20 a prompt token. */
export const TEST_TERMS: Terms = {
  rate: formulaRate({ parametersInMillions: 8_000, quantization: "q4" }, GENESIS_PARAMETERS),
  floor: null,
};

export interface ReceiptOptions {
  /** Tells receipts apart: job ids follow from it, in its order. */
  readonly index?: number;
  readonly usage?: Tokens;
  /** What the job's hold reserved; the charge is drawn from it in this order. Default: one top-up lot that covers it. */
  readonly held?: readonly Draw[];
  readonly peg?: Peg;
  readonly link?: Link;
  /** Names that keys and ids follow from. */
  readonly consumer?: string;
  readonly provider?: string;
  readonly daemon?: string;
  /** Changes of what the relay knows, before anything is signed. */
  readonly facts?: Partial<Omit<JobFacts, "usage" | "claim">>;
  /** The network's seed in hex. */
  readonly seed?: string;
}

/** A receipt's body and the facts behind it. */
export function bodyOf(options: ReceiptOptions = {}): ReceiptBody {
  const { index = 0, usage = { prompt: 100, completion: 1_000 }, peg = GENESIS_PEG } = options;
  const daemon = keyOf(options.daemon ?? "daemon");
  const provider = idOf<AccountId>(options.provider ?? "provider");
  const queued = TEST_TIME + index;
  const job = newJobId(queued, seedOf(`job ${index}`).subarray(0, 10));
  const digest = { request: hashText("request"), response: hashText("response"), salt: "ab".repeat(16) };
  const lane = options.facts?.lane ?? "public";
  const payees = { provider, network: "network", ...(lane === "league" ? { creator: "creator", admin: "admin" } : {}) };
  const facts = {
    network: TEST_NETWORK,
    job,
    n: 0,
    outcome: "completed" as const,
    lane,
    model: "maker/eight",
    quantization: "q4" as const,
    consumer: idOf<Pseudonym>(options.consumer ?? "consumer"),
    provider,
    daemon: daemon.id,
    fence: 1,
    usage: { ...usage, relayed: usage.completion },
    times: { queued, dispatched: queued + 5, first_token: queued + 90, completed: queued + 900 },
    terms: TEST_TERMS,
    auction: { asks: 0, winning_ask: null, second_ask: null },
    digest,
    payees,
    ...options.facts,
  };
  const claimed = claimBytes({
    job: facts.job,
    fence: facts.fence,
    daemon: facts.daemon,
    model: facts.model,
    usage,
    digest: facts.digest,
  });
  const claim = { usage, signature: base64url(ed25519.sign(claimed, daemon.secret)) };
  const due = priceOf(facts.terms, usage);
  const held = options.held ?? [{ lot: "lot", kind: "topup", backing: "usdc", amount: due }];
  const hold = holdOf(facts.job, due, held, peg);
  const charge = chargeHold(hold, facts.outcome, facts.terms, usage);
  return composeReceipt({ ...facts, claim }, hold, charge, options.link ?? { seq: 0, head: GENESIS_HEAD });
}

function holdOf(job: JobId, price: Hold["price"], draws: readonly Draw[], peg: Peg): Hold {
  return {
    job,
    order: 1,
    at: TEST_TIME,
    expiresAt: TEST_TIME + 780_000,
    key: idOf("key") as unknown as Hold["key"],
    lane: "public",
    reserved: false,
    model: "maker/eight",
    body: hashText("request"),
    peg,
    price,
    promptBound: 0,
    completionCap: 0,
    draws,
  };
}

/** Signs a body's text for the network. */
export function signText(body: string, seed = testSecrets.NETWORK_SEED): SignedReceipt {
  const secret = hexToBytes(seed);
  return {
    body,
    key: base64url(ed25519.getPublicKey(secret)),
    signature: base64url(ed25519.sign(receiptBytes(body), secret)),
  };
}

/** A receipt that verifies. */
export function receiptOf(options: ReceiptOptions = {}): SignedReceipt {
  return signText(receiptText(bodyOf(options)), options.seed);
}

/** `count` receipts of jobs that follow each other. */
export function receiptsOf(count: number, options: ReceiptOptions = {}): SignedReceipt[] {
  const first = options.index ?? 0;
  return Array.from({ length: count }, (_, index) => receiptOf({ ...options, index: first + index }));
}
