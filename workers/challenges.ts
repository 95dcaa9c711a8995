/** Messages for wallets to sign: made here, kept in D1, and taken once, by their wallet, on their domain (decisions/0033). */

import { sha256 } from "@noble/hashes/sha2.js";
import { type Refusal, refuse } from "../core/errors.ts";
import { base62, type WalletAddress } from "../core/ids.ts";
import { parsePublicKey, parseWalletSignature, verifyStrict } from "../core/keys.ts";
import { LIMITS } from "../core/limits.ts";
import { bytesToHex, utf8ToBytes } from "../core/receipt/canonical.ts";
import { addChallenge, type Challenge, getChallenge, takeChallenge } from "../db/challenges.ts";
import type { Answer } from "../protocol/internal/account.ts";
import { timeText } from "../protocol/network/common.ts";
import { type SignInInput, signInMessage } from "../protocol/sign-in-message.ts";
import { configOf } from "./config.ts";
import type { CallContext } from "./http.ts";
import { boundChallenges } from "./join-limit.ts";

/** What a signature is for. It is good for nothing else: not for another purpose, subject or domain. */
export interface Purpose {
  readonly purpose: Challenge["purpose"];
  readonly subject: string;
  /** What the wallet's owner reads. */
  readonly statement: string;
}

/** A wallet's answer to a challenge. */
export interface Proof {
  readonly address: WalletAddress;
  readonly message: string;
  /** 64 bytes in base58. */
  readonly signature: string;
}

export const SIGN_IN: Purpose = {
  purpose: "sign_in",
  subject: "",
  statement: "Sign in to Tollmill. This moves nothing and costs nothing.",
};

/** Makes a challenge for a wallet. */
export async function giveChallenge(c: CallContext, address: WalletAddress, purpose: Purpose) {
  const tooMany = await boundChallenges(c);
  if (tooMany !== null) return no(tooMany);
  if (parsePublicKey(address) === null) return no(refuse("weak_public_key", { param: "address" }));
  const now = Date.now();
  const expiresAt = now + LIMITS.signInChallengeMs;
  const { origin, host: domain } = new URL(c.req.url);
  const input: SignInInput = {
    domain,
    address,
    statement: purpose.statement,
    uri: origin,
    version: "1",
    chainId: `solana:${configOf(c.env).solanaChain}`,
    nonce: base62(crypto.getRandomValues(new Uint8Array(16))),
    issuedAt: timeText(now),
    expirationTime: timeText(expiresAt),
    requestId: c.var.requestId,
    resources: [`${origin}/docs`],
  };
  const message = signInMessage(input);
  const row = { id: idOf(message), address, domain, purpose: purpose.purpose, subject: purpose.subject, message };
  await addChallenge(c.env.DB, { ...row, expires_at: expiresAt }, now);
  return { ok: true, value: { input, message, expiresAt } } as const;
}

/**
 * Takes a wallet's answer: its signature over the very text that was given out, for this purpose, within its time, once. What
 * came as the message only says which text that is. A wrong signature leaves the challenge open for the right one.
 */
export async function takeProof(
  c: CallContext,
  { address, message, signature }: Proof,
  { purpose, subject }: Pick<Purpose, "purpose" | "subject">,
): Promise<Answer<null>> {
  const tooMany = await boundChallenges(c);
  if (tooMany !== null) return no(tooMany);
  const now = Date.now();
  const challenge = await getChallenge(c.env.DB, idOf(message));
  const isOurs =
    challenge !== null &&
    challenge.address === address &&
    challenge.domain === new URL(c.req.url).host &&
    challenge.purpose === purpose &&
    challenge.subject === subject &&
    challenge.used_at === null &&
    now < challenge.expires_at;
  if (!isOurs) return no(refuse("invalid_challenge"));
  const [key, bytes] = [parsePublicKey(address), parseWalletSignature(signature)];
  const isSigned = key !== null && bytes !== null && verifyStrict(bytes, utf8ToBytes(challenge.message), key);
  if (!isSigned) return no(refuse("invalid_signature", { param: "signature" }));
  // Of several calls with the same answer at once, one is first.
  return (await takeChallenge(c.env.DB, challenge.id, now))
    ? { ok: true, value: null }
    : no(refuse("invalid_challenge"));
}

function idOf(message: string): string {
  return bytesToHex(sha256(utf8ToBytes(message)));
}

function no(refusal: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal };
}
