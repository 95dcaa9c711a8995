/** The bodies of entries that are not receipts, in the same chain and the same canonical form. */

import type { EntryType } from "../../core/account/entry-types.ts";
import type { Extension } from "../../core/account/extension.ts";
import type { Backing, Draw, LotKind } from "../../core/account/lots.ts";
import type { ServiceLevel } from "../../core/account/service-level.ts";
import type { Link } from "../../core/account/state.ts";
import { epochDay } from "../../core/allotment/epochs.ts";
import type { AccountId, JobId } from "../../core/ids.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import type { Millicredits, NanoUsd } from "../../core/units.ts";
import { ENTRY_VERSION } from "../../protocol/entry.ts";

export type { EntryType };

/** What a credit of a kind of lot is called in the ledger. */
export const CREDIT_TYPE: Readonly<Record<LotKind, EntryType>> = {
  allotment: "allotment",
  package: "package",
  bonus: "bonus",
  received: "transfer",
  earned: "earned",
  topup: "topup",
};

/** A change of a lot: a credit, or what expired. Amounts are in the lot's own unit; the other field is 0. */
export function lotEntry(
  type: EntryType,
  lot: { id: string; kind: LotKind; backing: Backing },
  amount: number,
  at: number,
  previous: Link,
  memo: string,
): string {
  return canonicalText({
    v: ENTRY_VERSION,
    type,
    at,
    lot: lot.id,
    kind: lot.kind,
    backing: lot.backing,
    nano_usd: lot.backing === "usdc" ? amount : 0,
    millicredits: lot.backing === "usdc" ? 0 : amount,
    memo,
    seq: previous.seq + 1,
    previous: previous.head,
  });
}

/** Credits that went to another account, or came from one. `nano_usd` is the backing that a sender's top-ups lost. */
export function transferEntry(
  direction: "out" | "in",
  { id, other, millicredits, stripped, memo }: TransferFacts,
  at: number,
  previous: Link,
): string {
  return canonicalText({
    v: ENTRY_VERSION,
    type: "transfer",
    at,
    direction,
    transfer: id,
    account: other,
    nano_usd: stripped,
    millicredits,
    memo,
    seq: previous.seq + 1,
    previous: previous.head,
  });
}

export interface TransferFacts {
  readonly id: string;
  readonly other: AccountId;
  readonly millicredits: Millicredits;
  readonly stripped: NanoUsd;
  readonly memo: string;
}

/** What moves between an account and one of its slices. Amounts are in each lot's own unit. */
export function sliceEntry(
  moved: "out" | "in",
  slice: number,
  parts: readonly Draw[],
  at: number,
  previous: Link,
): string {
  return canonicalText({
    v: ENTRY_VERSION,
    type: "slice",
    at,
    slice,
    moved,
    parts: parts.map(partEntry),
    seq: previous.seq + 1,
    previous: previous.head,
  });
}

/** Packages that a missed day extends, with what was measured and what had been promised. */
export function extensionEntry(
  { day, jobs, p95Ms, first, last, digest }: ServiceLevel,
  targetMs: number,
  extensions: readonly Extension[],
  at: number,
  previous: Link,
): string {
  return canonicalText({
    v: ENTRY_VERSION,
    type: "extension",
    at,
    day: epochDay(day),
    jobs,
    p95_ms: p95Ms,
    target_ms: targetMs,
    first,
    last,
    digest,
    extended: extensions.map((each) => ({ ...partEntry(each), from: each.from, until: each.expiresAt })),
    seq: previous.seq + 1,
    previous: previous.head,
  });
}

function partEntry({ lot, kind, backing, amount }: Draw) {
  return {
    lot,
    kind,
    backing,
    nano_usd: backing === "usdc" ? amount : 0,
    millicredits: backing === "usdc" ? 0 : amount,
  };
}

/** The end of a hold that moved no money. `slotSince` is since when its job waited in a reserved slot, if it did. */
export function releaseEntry(
  type: "void" | "hold_expired",
  job: JobId,
  reason: string,
  at: number,
  previous: Link,
  slotSince: number | null = null,
): string {
  return canonicalText({
    v: ENTRY_VERSION,
    type,
    at,
    job,
    reason,
    ...(slotSince !== null && { reserved: slotSince }),
    seq: previous.seq + 1,
    previous: previous.head,
  });
}
