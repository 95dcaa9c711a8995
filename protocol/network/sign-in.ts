/** Shapes of signing in with a wallet: challenges, sessions and wallets (interfaces.md §2). */

import { z } from "zod";
import { accountId, memberId, sessionId, walletAddress, walletSignature } from "../ids.ts";
import { time } from "./common.ts";

const address = walletAddress.meta({
  description: "The wallet's public key in base58.",
  example: "7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV",
});
const role = z.enum(["sign_in", "recovery"]).meta({
  description:
    "`sign_in`: signs its member in. `recovery`: links another wallet in place of lost ones, and nothing else.",
});

export const askChallenge = z.strictObject({ address });

export const challenge = z.object({
  input: z
    .object({
      domain: z.string(),
      address: z.string(),
      statement: z.string(),
      uri: z.string(),
      version: z.literal("1"),
      chainId: z.string(),
      nonce: z.string(),
      issuedAt: time,
      expirationTime: time,
      requestId: z.string(),
      resources: z.array(z.string()),
    })
    .meta({ description: "What a wallet's `solana:signIn` takes." }),
  message: z.string().meta({ description: "The text of it, which a wallet that only signs messages signs." }),
  expires_at: time,
});

const proof = {
  address,
  message: z.string().min(1).max(2_048).meta({ description: "The message that was signed, byte for byte as given." }),
  signature: walletSignature.meta({ description: "The wallet's signature over it: 64 bytes in base58." }),
};

export const verifySignIn = z.strictObject({
  ...proof,
  cookie: z
    .boolean()
    .optional()
    .meta({ description: "For a page of this network: the tokens come in cookies that scripts cannot read." }),
});

export const session = z.object({
  id: sessionId.meta({ example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  member: memberId,
  wallet: address,
  recovery: z.boolean().meta({ description: "Whether it may link a wallet and nothing else." }),
  created_at: time,
  refreshed_at: time.nullable(),
  expires_at: time.meta({ description: "When it ends; signing in again begins another one." }),
  own: z.boolean().meta({ description: "Whether it is the one that asks." }),
});
export type ShownSession = z.infer<typeof session>;

export const sessionList = z.object({ data: z.array(session) });

export const openedSession = session.extend({
  account: accountId,
  access_token: z
    .string()
    .nullable()
    .meta({ description: "Sent as the bearer token; null where it is in a cookie.", example: "tms_…" }),
  access_expires_at: time,
  refresh_token: z
    .string()
    .nullable()
    .meta({ description: "Taken once, for the next pair of tokens; null where it is in a cookie.", example: "tmr_…" }),
});
export type OpenedSession = z.infer<typeof openedSession>;

export const signedIn = openedSession.extend({
  opened: z.boolean().meta({ description: "Whether this has opened the account." }),
  starter: z
    .enum(["granted", "granted_before", "too_young", "budget_spent", "unknown"])
    .nullable()
    .meta({
      description:
        "The starter balance: `too_young` where the wallet's finalized history is, `budget_spent` for today, `unknown` where " +
        "Solana could not be asked: the next sign-in asks again. Null for a recovery wallet.",
    }),
});

export const refreshSession = z.strictObject({
  refresh_token: z
    .string()
    .max(128)
    .optional()
    .meta({ description: "Left out where it is in a cookie.", example: "tmr_…" }),
});

export const endedSessions = z.object({
  ended: z.array(sessionId).meta({ description: "The sessions that this call has ended." }),
});

export const wallet = z.object({ address, role, member: memberId, linked_at: time });
export const walletList = z.object({ data: z.array(wallet) });

export const askWalletChallenge = z.discriminatedUnion("purpose", [
  z.strictObject({ purpose: z.literal("link"), address, role }),
  z.strictObject({
    purpose: z.literal("unlink"),
    address: address.meta({
      description: "The wallet that signs: the one to unlink, or another that signs its member in.",
    }),
    wallet: address.meta({ description: "The wallet to unlink." }),
  }),
]);

export const linkWallet = z.strictObject({ ...proof, role });
export const unlinkWallet = z.strictObject(proof);
export const unlinkedWallet = z.object({
  address,
  unlinked: z.boolean().meta({ description: "False where it was not the member's any more." }),
});
