/** What receipts call an account: only who has the edge's key can tie that to the account's id. */

import { type AccountId, base62, type Pseudonym } from "../core/ids.ts";
import { edgeMac } from "./edge-mac.ts";

const DOMAIN = "tollmill/pseudonym/v1";

/** An account's pseudonym in the network whose edge has that key. */
export function pseudonymUnder(edgeKey: Uint8Array, account: AccountId): Pseudonym {
  return base62(edgeMac(edgeKey, DOMAIN, account).subarray(0, 16)) as Pseudonym;
}
