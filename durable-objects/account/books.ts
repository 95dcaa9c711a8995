/** What an account keeps in memory while it is awake. */

import type { Keyring, StoredKey } from "./keyring.ts";
import type { Ledger } from "./ledger.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Roster } from "./roster.ts";
import type { Slices } from "./slices.ts";

export interface Books {
  readonly ledger: Ledger;
  readonly keys: Keyring;
  readonly team: Roster;
  readonly outgoing: Outgoing;
  readonly slices: Slices;
}

/** The books, and the key that was let in to them. */
export type Entered = Books & { readonly key: StoredKey };
