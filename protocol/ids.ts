/** Schemas of identifiers and of text encodings that several shapes share. */

import { z } from "zod";
import {
  type AccountId,
  type DaemonId,
  type InviteId,
  isId128,
  type JobId,
  type KeyId,
  type MemberId,
  type NetworkId,
  type Pseudonym,
  type SessionId,
  type WalletAddress,
} from "../core/ids.ts";
import { parseSignature, parseWalletSignature } from "../core/keys.ts";

const id128 = (what: string) => z.string().refine(isId128, `must be ${what}: 22 base62 digits`);

export const accountId = id128("an account id") as unknown as z.ZodType<AccountId, string>;
export const jobId = id128("a job id") as unknown as z.ZodType<JobId, string>;
export const keyId = id128("a key id") as unknown as z.ZodType<KeyId, string>;
export const memberId = id128("a member id") as unknown as z.ZodType<MemberId, string>;
export const inviteId = id128("an invite id") as unknown as z.ZodType<InviteId, string>;
export const networkId = id128("a private network's id") as unknown as z.ZodType<NetworkId, string>;
export const sessionId = id128("a session id") as unknown as z.ZodType<SessionId, string>;
export const pseudonym = id128("a pseudonym") as unknown as z.ZodType<Pseudonym, string>;

/** Only the form is checked: 32 bytes of base58 in 32 to 44 characters. `parsePublicKey` checks the key itself. */
const publicKey = z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{32,44}$/, "must be a public key in base58");
export const daemonId = publicKey as unknown as z.ZodType<DaemonId, string>;
export const walletAddress = publicKey as unknown as z.ZodType<WalletAddress, string>;

export const signature = z
  .string()
  .refine((text) => parseSignature(text) !== null, "must be a signature: 64 bytes in base64url without padding");

export const walletSignature = z
  .string()
  .refine((text) => parseWalletSignature(text) !== null, "must be a signature: 64 bytes in base58");

export const hash = z.string().regex(/^[0-9a-f]{64}$/, "must be 32 bytes in lower-case hex");

/** An id that a client makes for a mutating call. */
export const clientId = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,64}$/, "must be 1 to 64 characters of A-Z a-z 0-9 _ . : -");

/** A whole number ≥ 0 that JSON and SQLite carry exactly. */
export const count = z.int().min(0);
