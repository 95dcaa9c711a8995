/** The ledger's types of entry (economics.md §6), with the ends of holds that cost nothing, and packages that last longer. */

export const ENTRY_TYPES = [
  "spent",
  "bonus",
  "topup",
  "package",
  "allotment",
  "earned",
  "transfer",
  "adjustment",
  "slice",
  "expiry",
  "extension",
  "void",
  "hold_expired",
] as const;
export type EntryType = (typeof ENTRY_TYPES)[number];
