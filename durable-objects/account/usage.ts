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
import { cursorOf, placeOf } from "../../protocol/ledger-cursor.ts";
import { timeText } from "../../protocol/network/common.ts";
import type { Keyring } from "./keyring.ts";
import type { Ledger } from "./ledger.ts";
import type { Roster } from "./roster.ts";
import type { Slices } from "./slices.ts";
import type { AccountStore, EntryRow } from "./store.ts";

/** Who says whose keys are whose, and what they are called. */
interface Names {
  readonly keys: Keyring;
  readonly team: Roster;
}

type Groups = UsagePart["groups"];

/** Adds up the jobs of a bounded stretch of entries. The object does nothing else meanwhile, so the stretch is short. */
export function readUsage({ ledger, ...names }: Names & { readonly ledger: Ledger }, query: UsageQuery): UsagePart {
  const { groups, next } = sumUsage(ledger, query);
  return { ...named(names, query.by, groups), next };
}

/** {@link readUsage} over the account's own chain and then over its slices'. */
export async function readUsageOfAll(
  books: Names & { readonly ledger: Ledger; readonly slices: Slices },
  query: UsageQuery,
): Promise<UsagePart> {
  const { slices } = books;
  const { slice, seq } = placeOf(query.cursor ?? 0);
  const following = slice < slices.count ? cursorOf({ slice: slice + 1, seq: 0 }) : null;
  if (slice === 0) {
    const part = readUsage(books, query);
    return { ...part, next: part.next ?? following };
  }
  if (!slices.has(slice)) return { groups: [], names: [], next: null };
  const { groups, next } = await slices.stubOf(slice).usage({ ...query, cursor: seq === 0 ? null : seq });
  return { ...named(books, query.by, groups), next: next === null ? following : cursorOf({ slice, seq: next }) };
}

/** The same with jobs by member grouped by their keys, which only the account itself can tell members by. */
export function sumUsage({ store, state }: Ledger, query: UsageQuery): Pick<UsagePart, "groups" | "next"> {
  const { by, from, to, cursor } = query;
  const rows = store.entries(cursor ?? store.firstSeqAt(from, state.seq), LIMITS.usageRows);
  const groups = new Map<string, Usage>();
  const within = rows.filter(({ at }) => to === null || at < to);
  for (const row of within) {
    const used = usageIn(row);
    if (used !== null) addGroups(groups, [[groupOf(store, by, row, used), used.usage]]);
  }
  const isWhole = within.length === rows.length && rows.length === LIMITS.usageRows;
  return { groups: [...groups], next: isWhole ? (rows.at(-1)?.seq ?? 0) + 1 : null };
}

/** Groups of {@link sumUsage} as they are shown: members instead of their keys, with names. */
export function named({ keys, team }: Names, by: UsageBy, groups: Groups): Pick<UsagePart, "groups" | "names"> {
  if (by === "key") return { groups, names: groups.flatMap(([id]) => nameIn(keys, id)) };
  if (by !== "member") return { groups, names: [] };
  const members = new Map<string, Usage>();
  addGroups(
    members,
    groups.map(([id, usage]) => [memberOf(keys, id as KeyId), usage] as const),
  );
  return { groups: [...members], names: [...members.keys()].flatMap((id) => nameIn(team, id)) };
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

function groupOf(store: AccountStore, by: UsageBy, { at }: EntryRow, { job, receipt }: Used): string {
  if (by === "day") return timeText(at - (at % DAY_MS)).slice(0, 10);
  if (by !== "key" && by !== "member" && receipt !== null) return receipt[by];
  const record = store.holdOf(job)?.record;
  if (record === undefined || !("hold" in record)) throw new Error(`an entry of ${job}, which was never held`);
  return record.hold[by === "member" ? "key" : by];
}

function memberOf(keys: Keyring, id: KeyId): MemberId {
  const key = keys.byId(id);
  if (key === null) throw new Error("a hold by a key that was never made");
  return key.member;
}

function nameIn(named: Keyring | Roster, id: string): [string, string][] {
  const found = named.byId(id as KeyId & MemberId);
  return found === null ? [] : [[id, found.name]];
}
