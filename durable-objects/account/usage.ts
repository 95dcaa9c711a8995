/**
 * Summaries of an account's usage, from its entries and holds. An entry names neither its API key nor, where a hold was
 * given back, its model and lane; the hold's row does, and is never deleted. So the two rows of a job are enough: what a
 * summary costs is paid by who reads it, and no job pays for it.
 */

import { addGroups, UNANSWERED, type Usage, type UsageBy, usageOf } from "../../core/account/usage.ts";
import type { JobId, KeyId, MemberId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import { DAY_MS } from "../../core/time.ts";
import type { UsagePart, UsageQuery } from "../../protocol/internal/account.ts";
import { timeText } from "../../protocol/network/common.ts";
import type { Keyring } from "./keyring.ts";
import type { Ledger } from "./ledger.ts";
import type { Roster } from "./roster.ts";
import type { AccountStore, EntryRow } from "./store.ts";

/** What a summary is read from. */
interface UsageBooks {
  readonly ledger: Ledger;
  readonly keys: Keyring;
  readonly team: Roster;
}

/** Adds up the jobs of a bounded stretch of entries. The object does nothing else meanwhile, so the stretch is short. */
export function readUsage({ ledger, keys, team }: UsageBooks, query: UsageQuery): UsagePart {
  const { store, state } = ledger;
  const { by, from, to, cursor } = query;
  const rows = store.entries(cursor ?? store.firstSeqAt(from, state.seq), LIMITS.usageRows);
  const groups = new Map<string, Usage>();
  const within = rows.filter(({ at }) => to === null || at < to);
  for (const row of within) {
    const used = usageIn(row);
    if (used !== null) addGroups(groups, [[groupOf(store, keys, by, row, used), used.usage]]);
  }
  const isWhole = within.length === rows.length && rows.length === LIMITS.usageRows;
  const named = by === "key" ? keys : by === "member" ? team : null;
  const names = named === null ? [] : [...groups.keys()].flatMap((id) => nameIn(named, id));
  return { groups: [...groups], names, next: isWhole ? (rows.at(-1)?.seq ?? 0) + 1 : null };
}

interface Used {
  readonly job: JobId;
  readonly usage: Usage;
  readonly receipt: ReceiptBody | null;
}

function usageIn({ event, body }: EntryRow): Used | null {
  switch (event.type) {
    case "posted": {
      const receipt = JSON.parse(body) as ReceiptBody;
      return { job: event.job, usage: usageOf(receipt), receipt };
    }
    case "voided":
    case "hold_expired":
      return { job: event.job, usage: UNANSWERED, receipt: null };
    default:
      return null;
  }
}

function groupOf(store: AccountStore, keys: Keyring, by: UsageBy, { at }: EntryRow, { job, receipt }: Used): string {
  if (by === "day") return timeText(at - (at % DAY_MS)).slice(0, 10);
  if (by !== "key" && by !== "member" && receipt !== null) return receipt[by];
  const record = store.holdOf(job)?.record;
  if (record === undefined || !("hold" in record)) throw new Error(`an entry of ${job}, which was never held`);
  if (by !== "member") return record.hold[by];
  const key = keys.byId(record.hold.key);
  if (key === null) throw new Error(`a hold of ${job} by a key that was never made`);
  return key.member;
}

function nameIn(named: Keyring | Roster, id: string): [string, string][] {
  const found = named.byId(id as KeyId & MemberId);
  return found === null ? [] : [[id, found.name]];
}
