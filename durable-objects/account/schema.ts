/**
 * The tables of an `Account` object. Two rows a job: one in `holds` when it is reserved, one in `entries` when it ends.
 * Neither has a secondary index, as every index entry is billed as a row; both are found by their keys alone (a hold by
 * what its job id says, an entry by bisecting the times, which never run backwards).
 */
const LEDGER = `
  -- Reservations and refusals, never changed. slot: see core/ids.ts, holdSlot; attempt counts the uses of one
  -- idempotency key. hold_order is 0 for a refusal. after_seq is the last entry when the hold was made.
  CREATE TABLE holds (
    slot TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    job TEXT NOT NULL,
    hold_order INTEGER NOT NULL CHECK (hold_order >= 0),
    after_seq INTEGER NOT NULL CHECK (after_seq >= 0),
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (slot, attempt)
  ) STRICT, WITHOUT ROWID;

  -- The account's chain: receipts, credits, voids, expiries, in order and never changed. body is the canonical text
  -- that the next entry names as previous by its SHA-256; event is what the fold needs.
  CREATE TABLE entries (
    seq INTEGER PRIMARY KEY CHECK (seq >= 1),
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    job TEXT,
    n INTEGER,
    event TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;

  CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
  ) STRICT, WITHOUT ROWID;

  -- Mutations that are not jobs, by the id their caller made, so that a repeated call changes nothing.
  CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    command TEXT NOT NULL,
    seq INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- The folded state now and then, so that a start need not read the whole past; and what the log is known to have.
  CREATE TABLE snapshot (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    state TEXT NOT NULL
  ) STRICT;
  CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `;
const ATTEMPTS = `
  -- Open jobs that a later attempt has taken over, with its fence. Most jobs have one attempt and no row here.
  CREATE TABLE attempts (
    job TEXT PRIMARY KEY,
    fence INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `;
const OUTBOX = `
  -- Transfers that have left here and that the other account has not confirmed: written with their debit, gone with the
  -- confirmation. transfer is what the other account is told, as JSON.
  CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    recipient TEXT NOT NULL,
    transfer TEXT NOT NULL CHECK (json_valid(transfer))
  ) STRICT, WITHOUT ROWID;
  `;

export const ACCOUNT_MIGRATIONS: readonly string[] = [
  LEDGER,
  ATTEMPTS,
  `
  -- How many jobs a key may begin in a minute; NULL for the network's own bound.
  ALTER TABLE keys ADD COLUMN requests_per_minute INTEGER CHECK (requests_per_minute >= 1);
  `,
  `
  -- What a key may do (JSON arrays; NULL is everything), until when, and what it may spend (JSON); the secret from before
  -- its last rotation, the names of the calls that rotated it (JSON), and what it was made with.
  ALTER TABLE keys ADD COLUMN scopes TEXT CHECK (json_valid(scopes));
  ALTER TABLE keys ADD COLUMN models TEXT CHECK (json_valid(models));
  ALTER TABLE keys ADD COLUMN expires_at INTEGER;
  ALTER TABLE keys ADD COLUMN budget TEXT CHECK (json_valid(budget));
  ALTER TABLE keys ADD COLUMN old_secret_hash TEXT;
  ALTER TABLE keys ADD COLUMN old_until INTEGER;
  ALTER TABLE keys ADD COLUMN rotated_at INTEGER;
  ALTER TABLE keys ADD COLUMN rotations TEXT CHECK (json_valid(rotations));
  ALTER TABLE keys ADD COLUMN made TEXT;
  `,
  OUTBOX,
  `
  -- Members stay as rows when they are removed: their jobs stay theirs. invite is what they came by, made the name they gave
  -- then; both are NULL for the member that the account was opened for, who has the id of the account's first key.
  CREATE TABLE members (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'billing', 'developer', 'viewer')),
    joined_at INTEGER NOT NULL,
    removed_at INTEGER,
    invite TEXT,
    made TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE invites (
    id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    name TEXT,
    role TEXT NOT NULL CHECK (role IN ('owner', 'billing', 'developer', 'viewer')),
    made_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    uses INTEGER NOT NULL CHECK (uses >= 1),
    used INTEGER NOT NULL CHECK (used BETWEEN 0 AND uses),
    revoked_at INTEGER,
    made TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Keys from before there were members are the owner's.
  ALTER TABLE keys ADD COLUMN member TEXT;
  INSERT INTO members (id, name, role, joined_at)
    SELECT id, name, 'owner', created_at FROM keys ORDER BY created_at, id LIMIT 1;
  UPDATE keys SET member = (SELECT id FROM members);
  `,
  `
  -- Entries that are no receipts go to the journal too: what the log was asked for before says nothing of them.
  DELETE FROM settings WHERE name = 'log_checked';
  `,
  `
  -- The slices that an account ever had (docs/decisions/0029). lease is the number of the last one and lease_until when it
  -- ends at the latest; drained is 1 where the slice has said that it has nothing left of that lease or an earlier one.
  CREATE TABLE slices (
    slice INTEGER PRIMARY KEY CHECK (slice >= 1),
    lease INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    drained INTEGER NOT NULL CHECK (drained IN (0, 1))
  ) STRICT;
  `,
  `
  -- Sessions of members who signed in with a wallet (docs/decisions/0034), until they end. recovery is 1 where the wallet may
  -- only link another one. Refresh secrets that were used are kept as long as their session, to know them when they return.
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    member TEXT NOT NULL,
    wallet TEXT NOT NULL,
    recovery INTEGER NOT NULL CHECK (recovery IN (0, 1)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    secret_hash TEXT NOT NULL,
    secret_until INTEGER NOT NULL,
    old_secret_hash TEXT,
    old_until INTEGER,
    refresh_hash TEXT NOT NULL,
    refreshes INTEGER NOT NULL CHECK (refreshes >= 0),
    refreshed_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE used_refreshes (
    hash TEXT PRIMARY KEY,
    session TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- 1 for the one key that a member's sessions act as.
  ALTER TABLE keys ADD COLUMN of_sessions INTEGER NOT NULL DEFAULT 0 CHECK (of_sessions IN (0, 1));
  `,
  `
  -- How long jobs in reserved slots waited, a row for each day of dedicated jobs (docs/decisions/0050). day counts from
  -- 1970-01-01; level is what was measured, as JSON; seq is the entry that extended packages for it, if one did.
  CREATE TABLE service_days (
    day INTEGER PRIMARY KEY,
    level TEXT NOT NULL CHECK (json_valid(level)),
    seq INTEGER
  ) STRICT;
  `,
];

/** The tables of a slice: an account's without its keys' bounds, its team and slices of its own. */
export const SLICE_MIGRATIONS: readonly string[] = [LEDGER, ATTEMPTS, OUTBOX];
