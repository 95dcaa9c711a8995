/**
 * Codes that stand in for a wallet with a past: whoever is given one may have a starter balance (economics.md §6). `tmc_` ·
 * id (22 digits) · when it expires, in seconds since 1970 (7 digits) · MAC (22 digits), all base62. The MAC is an HMAC under
 * the edge's key, so no table has to know which codes there are; one that was used is known by its id.
 */

import { isEqual } from "../core/constant-time.ts";
import { base62, base62Length, isId128, parseBase62 } from "../core/ids.ts";
import { edgeMac } from "./edge-mac.ts";

const PREFIX = "tmc_";
const MAC_DOMAIN = "tollmill/starter-code/v1";
const ID_DOMAIN = "tollmill/starter-code-id/v1";
const ID_LENGTH = base62Length(16);
const TIME_BYTES = 5;
const TIME_LENGTH = base62Length(TIME_BYTES);
const CODE_LENGTH = PREFIX.length + 2 * ID_LENGTH + TIME_LENGTH;

export interface StarterCode {
  readonly id: string;
  /** Milliseconds since 1970, in whole seconds. */
  readonly expiresAt: number;
}

/** The codes of a batch: the same ones for the same name, number and time. `expiresAt` is rounded down to seconds. */
export function starterCodes(batch: string, count: number, expiresAt: number, edgeKey: Uint8Array): string[] {
  const seconds = new Uint8Array(TIME_BYTES);
  let rest = Math.floor(expiresAt / 1_000);
  for (let place = TIME_BYTES - 1; place >= 0; place--, rest = Math.floor(rest / 256)) seconds[place] = rest % 256;
  return Array.from({ length: count }, (_, index) => {
    const id = base62(edgeMac(edgeKey, ID_DOMAIN, `${index}/${batch}`).subarray(0, 16));
    const stem = id + base62(seconds);
    return PREFIX + stem + macOf(stem, edgeKey);
  });
}

/** Reads a code, or null when it is malformed or not of this network. */
export function parseStarterCode(text: string, edgeKey: Uint8Array): StarterCode | null {
  if (!text.startsWith(PREFIX) || text.length !== CODE_LENGTH) return null;
  const stem = text.slice(PREFIX.length, PREFIX.length + ID_LENGTH + TIME_LENGTH);
  const [id, seconds] = [stem.slice(0, ID_LENGTH), parseBase62(stem.slice(ID_LENGTH), TIME_BYTES)];
  if (!isId128(id) || seconds === null || !isEqual(text.slice(-ID_LENGTH), macOf(stem, edgeKey))) return null;
  return { id, expiresAt: seconds.reduce((value, byte) => value * 256 + byte, 0) * 1_000 };
}

function macOf(stem: string, edgeKey: Uint8Array): string {
  return base62(edgeMac(edgeKey, MAC_DOMAIN, stem).subarray(0, 16));
}
