/** A network that takes payments with calls on a chain that a test writes. */

import { env } from "cloudflare:workers";
import { base58 } from "@scure/base";
import type { Millicredits } from "../../../core/units.ts";
import { microUsdc } from "../../../core/units.ts";
import type { PaymentRequirements } from "../../../protocol/x402/messages.ts";
import { readConfig } from "../../../workers/config.ts";
import { paymentRequired } from "../../../workers/x402/offer.ts";
import type { PaymentNode, Status } from "../../../workers/x402/payment-node.ts";
import type { PaymentDesk } from "../../../workers/x402/settle.ts";
import { takePayment } from "../../../workers/x402/take-payment.ts";
import { readWire } from "../../../workers/x402/wire.ts";
import { FakeChain, keyOf, TREASURY } from "../../support/payments.ts";
import { FEE_PAYER, FEE_PAYER_SEED, paymentHeader, signedPayment } from "../../support/x402.ts";
import type { TestAccount } from "../api/support.ts";
import { SOLANA } from "../deposits/support.ts";

export const BINDINGS = { ...SOLANA, X402_FEE_PAYER_SEED: FEE_PAYER_SEED };
export const CONFIG = readConfig({ ...env, ...BINDINGS });

/** What a 402 offers to an account that lacks a credit. */
export function offers({ account }: Pick<TestAccount, "account">, now = Date.now()): readonly PaymentRequirements[] {
  const call = { url: "https://tollmill.test/v1/chat/completions", error: "The balance does not cover this request." };
  return paymentRequired(CONFIG, account, 1_000 as Millicredits, call, now)?.accepts ?? [];
}

export function starterOf(account: Pick<TestAccount, "account">, now?: number): PaymentRequirements {
  const found = offers(account, now).find(({ extra }) => extra.package === "starter");
  if (found === undefined) throw new Error("no package is on offer");
  return found;
}

/** What a transaction has to pay for an offer. */
export const wantedFor = ({ amount, extra }: PaymentRequirements) => ({
  feePayer: FEE_PAYER.publicKey.toBase58(),
  mint: TREASURY.mint,
  tokenAccount: TREASURY.tokenAccount,
  amount: microUsdc(Number(amount)),
  memo: extra.memo,
});

export function headerFor(accepted: PaymentRequirements, changes: Parameters<typeof signedPayment>[1] = {}): string {
  return paymentHeader(accepted, signedPayment(wantedFor(accepted), changes));
}

export function take(desk: PaymentDesk, { account }: Pick<TestAccount, "account">, header: string, now = Date.now()) {
  const { solana } = CONFIG;
  if (solana === null || solana.x402 === null) throw new Error("the network takes no payments");
  return takePayment(desk, { edgeKey: CONFIG.edgeKey, solana, x402: solana.x402 }, account, header, now);
}

/** A node on whose chain a payment that is sent becomes final after some looks at it. */
export class FakeNode implements PaymentNode {
  readonly chain = new FakeChain();
  /** What a trial run says. */
  error: unknown = null;
  /** Looks at a sent payment until it is final. */
  looks = 0;
  /** What becomes of what is sent. */
  fate: "lands" | "fails" | "drops" = "lands";
  block = 1_000;
  readonly sent: Uint8Array[] = [];
  readonly #landed = new Map<string, { failed: boolean; looks: number }>();

  async simulate(): Promise<unknown> {
    return this.error;
  }

  async tip(): Promise<{ slot: number; block: number }> {
    return { slot: this.block + 100, block: this.block };
  }

  async status(signature: string): Promise<Status> {
    const landed = this.#landed.get(signature);
    const slot = this.block + 100;
    if (landed === undefined) return { found: null, slot };
    landed.looks -= 1;
    return { found: { isFinal: landed.looks < 0, hasFailed: landed.failed }, slot };
  }

  async send(bytes: Uint8Array): Promise<void> {
    this.sent.push(bytes);
    const { wire } = readWire(bytes);
    const signature = base58.encode(wire.signatures[0] ?? new Uint8Array());
    if (this.fate === "drops" || this.#landed.has(signature)) return;
    const failed = this.fate === "fails";
    this.#landed.set(signature, { failed, looks: this.looks });
    const [, , transfer, memo] = wire.instructions;
    const { buffer, byteOffset } = transfer?.data ?? new Uint8Array(9);
    const units = new DataView(buffer, byteOffset).getBigUint64(1, true);
    const memoText = new TextDecoder().decode(memo?.data);
    this.chain.add({ signature, at: Date.now(), transfers: [{ units }], memo: memoText, failed });
  }

  desk(bindings: Partial<Env> = {}): PaymentDesk {
    return { env: { ...env, ...bindings }, node: this, chain: this.chain, treasury: TREASURY };
  }
}

let chains = 0;

/** A node of a chain of its own. */
export function newNode(): FakeNode {
  const node = new FakeNode();
  node.chain.genesisHash = keyOf(2_000_000 + (chains += 1));
  return node;
}
