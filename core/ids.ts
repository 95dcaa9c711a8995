/**
 * Identifiers. All are text of a fixed form, made from random bytes that the caller brings.
 *
 * A 128-bit id is written as 22 base62 digits, most significant first, padded; the alphabet is in ASCII order, so text
 * order is numeric order. A job id starts with 48 bits of time (milliseconds), so job ids sort by the time they were
 * made. Its next bit says whether its rest is random or the fingerprint of an idempotency key, and the five bits after
 * that who has its hold: 0 for the account itself, else the slice of it (docs/decisions/0029).
 */

import { DAY_MS } from "./time.ts";

declare const id: unique symbol;
type Id<Name extends string> = string & { readonly [id]: Name };

/** 22 base62 digits; names one `Account` object. */
export type AccountId = Id<"AccountId">;
/** 22 base62 digits; sortable by time. */
export type JobId = Id<"JobId">;
/** 22 base62 digits; names one API key of an account. */
export type KeyId = Id<"KeyId">;
/** 22 base62 digits; names one member of an account's team. */
export type MemberId = Id<"MemberId">;
/** 22 base62 digits; names one invite to an account's team. */
export type InviteId = Id<"InviteId">;
/** 22 base62 digits; names one session of a member who signed in with a wallet. */
export type SessionId = Id<"SessionId">;
/** 22 base62 digits; names one private network. */
export type NetworkId = Id<"NetworkId">;
/** A wallet's Ed25519 public key in base58, as Solana writes addresses. */
export type WalletAddress = Id<"WalletAddress">;
/** A daemon's Ed25519 public key in base58, as Solana writes keys. */
export type DaemonId = Id<"DaemonId">;
/** A consumer as receipts name it: 22 base62 digits that only the network can tie to an account. */
export type Pseudonym = Id<"Pseudonym">;

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGIT = new Map([...ALPHABET].map((character, value) => [character, BigInt(value)]));
const KEYED_BIT = 1n << 79n;
const SLICE_SHIFT = 74n;
const SLICE_BITS = 31n << SLICE_SHIFT;
/** The most slices that an account can have: what five bits count. */
export const MOST_SLICES = 31;

/** Digits that `bytes` bytes need in base62. */
export function base62Length(bytes: number): number {
  return Math.ceil((bytes * 8) / Math.log2(62));
}

/** Bytes as fixed-width base62, big-endian. */
export function base62(bytes: Uint8Array): string {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return base62OfBig(value, base62Length(bytes.length));
}

function base62OfBig(value: bigint, width: number): string {
  let text = "";
  for (let rest = value, i = 0; i < width; i++, rest /= 62n) text = ALPHABET[Number(rest % 62n)] + text;
  return text;
}

/** The inverse of {@link base62}: null when the text is not `bytes` bytes of base62. */
export function parseBase62(text: string, bytes: number): Uint8Array | null {
  const value = bigOfBase62(text, bytes);
  if (value === null) return null;
  const result = new Uint8Array(bytes);
  for (let i = bytes - 1, rest = value; i >= 0; i--, rest >>= 8n) result[i] = Number(rest & 255n);
  return result;
}

function bigOfBase62(text: string, bytes: number): bigint | null {
  if (text.length !== base62Length(bytes)) return null;
  let value = 0n;
  for (const character of text) {
    const digit = DIGIT.get(character);
    if (digit === undefined) return null;
    value = value * 62n + digit;
  }
  return value >> BigInt(bytes * 8) === 0n ? value : null;
}

const DIGITS_OF_ID = /^[0-9A-Za-z]{22}$/;
const GREATEST_ID = base62(new Uint8Array(16).fill(255));

/** Whether the text is 128 bits of base62: the form of account, job and key ids and of pseudonyms. */
export function isId128(text: string): boolean {
  // Text order is numeric order, so nothing has to be computed.
  return DIGITS_OF_ID.test(text) && text <= GREATEST_ID;
}

/** A random 128-bit id from 16 random bytes. */
export function id128<T extends AccountId | KeyId>(random: Uint8Array): T {
  if (random.length !== 16) throw new RangeError("an id needs 16 random bytes");
  return base62(random) as T;
}

/** A job id from the time (ms) and 10 random bytes, for the account itself or one of its slices. */
export function newJobId(nowMs: number, random: Uint8Array, slice = 0): JobId {
  return jobId(nowMs, random, false, slice);
}

/**
 * A job id whose rest is the fingerprint of an idempotency key (10 bytes of a hash over account and key): the same key
 * gives the same rest, whenever it is used, so the account finds the earlier job without an index. It is always the
 * account's own, as a slice would not know what another one has answered.
 */
export function keyedJobId(nowMs: number, fingerprint: Uint8Array): JobId {
  return jobId(nowMs, fingerprint, true, 0);
}

/** The slice that has a job's hold; 0 for the account itself. */
export function sliceOf(job: JobId): number {
  const value = bigOfBase62(job, 16);
  if (value === null) throw new RangeError("not a job id");
  return Number((value & SLICE_BITS) >> SLICE_SHIFT);
}

function jobId(nowMs: number, rest: Uint8Array, keyed: boolean, slice: number): JobId {
  if (rest.length < 10) throw new RangeError("a job id needs 10 bytes beside its time");
  if (!Number.isSafeInteger(nowMs) || nowMs < 0 || nowMs >= 2 ** 48) throw new RangeError(`no time: ${nowMs}`);
  let low = 0n;
  for (const byte of rest.subarray(0, 10)) low = (low << 8n) | BigInt(byte);
  if (!Number.isInteger(slice) || slice < 0 || slice > MOST_SLICES) throw new RangeError(`no slice: ${slice}`);
  low = keyed ? low | KEYED_BIT : low & ~KEYED_BIT;
  low = (low & ~SLICE_BITS) | (BigInt(slice) << SLICE_SHIFT);
  return base62OfBig((BigInt(nowMs) << 80n) | low, 22) as JobId;
}

/** The least job id of a moment: every id made at or after it is greater in text order. */
export function jobIdFloor(nowMs: number): string {
  return base62OfBig(BigInt(Math.max(0, nowMs)) << 80n, 22);
}

/** The time in a job id, in milliseconds. */
export function jobTime(job: JobId): number {
  const value = bigOfBase62(job, 16);
  if (value === null) throw new RangeError("not a job id");
  return Number(value >> 80n);
}

/**
 * Where an account keeps the hold of a job: the job id itself, or for a keyed job a place that depends on its day and
 * its key alone, so that a second job with the same key meets the first one there. Job ids start with 0 to 7, hence the
 * two kinds never mix, and each kind is in order of time (or day).
 */
export function holdSlot(job: JobId, day = Math.floor(jobTime(job) / DAY_MS)): string {
  const value = bigOfBase62(job, 16);
  if (value === null) throw new RangeError("not a job id");
  const low = value & ((1n << 80n) - 1n);
  return low & KEYED_BIT ? `k${String(day).padStart(6, "0")}/${base62OfBig(low, 14)}` : job;
}

/** The places where an earlier job with the same idempotency key may stand: its own day's and the day's before. */
export function holdSlots(job: JobId): string[] {
  const slot = holdSlot(job);
  if (slot === job) return [slot];
  return [slot, holdSlot(job, Math.floor(jobTime(job) / DAY_MS) - 1)];
}
