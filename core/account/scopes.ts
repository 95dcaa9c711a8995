/** What an API key may do. The first key of an account may do everything; another one what it was made for. */

export const SCOPES = ["inference", "read", "manage", "transfer", "supply"] as const;
/**
 * `inference`: begin jobs, look at them and cancel them. `read`: balance, ledger and receipts. `manage`: keys and settings.
 * `transfer`: send credits. `supply`: enrol and steer daemons.
 */
export type Scope = (typeof SCOPES)[number];

/** What a key gets that names nothing. */
export const DEFAULT_SCOPES: readonly Scope[] = ["inference", "read"];
