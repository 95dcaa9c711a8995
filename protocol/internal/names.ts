/**
 * What objects are called. An account's object has the account's id; a scheduler and a relay are named by their region
 * and what they serve there, so that whoever holds a name knows where to call.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import type { AccountId, DaemonId } from "../../core/ids.ts";

/** A region in object names: it never contains the slash that ends it. */
export const REGION = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** One slice of an account, from 1 on. Account ids contain no slash. */
export function sliceName(account: AccountId, slice: number): string {
  return `${account}/${slice}`;
}

/** The account and the number of a slice, from its name; 0 from the name of an account. */
export function accountOfSlice(name: string): { readonly account: AccountId; readonly slice: number } {
  const [account = "", slice = "0"] = name.split("/");
  return { account: account as AccountId, slice: Number(slice) };
}

/** The scheduler of one pool: `region/model`. Model ids may contain a slash, regions may not. */
export function schedulerName(region: string, model: string): string {
  return `${region}/${model}`;
}

/** The model whose pool a scheduler serves, from its name. */
export function modelOfScheduler(name: string): string {
  return name.slice(name.indexOf("/") + 1);
}

/** The region of a scheduler or a relay, from its name. */
export function regionOf(name: string): string {
  return name.slice(0, Math.max(0, name.indexOf("/")));
}

/** The relay of one shard of a region's daemons: `region/shard`. */
export function relayName(region: string, shard: number): string {
  return `${region}/${shard}`;
}

/** The relay that a daemon connects to: its shard is the first 32 bits of SHA-256(daemon id), modulo the shards. */
export function relayOf(region: string, daemon: DaemonId, shards: number): string {
  const hash = sha256(utf8ToBytes(daemon));
  return relayName(region, new DataView(hash.buffer, hash.byteOffset).getUint32(0) % shards);
}
