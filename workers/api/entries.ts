/** An account's entries, read page by page: its own chain, and after it those of its slices (docs/decisions/0029). */

import type { ApiKey } from "../../protocol/api-key.ts";
import type { Answer, EntryRecord } from "../../protocol/internal/account.ts";
import { cursorOf, placeOf } from "../../protocol/ledger-cursor.ts";
import { onAccount } from "../objects.ts";

/** Entries of one call to the account: at some 1.2 KB each, well under what an RPC may carry. */
const CHUNK_ROWS = 500;
/** Calls that one page may cost when a filter lets few entries through. */
const CHUNKS_PER_PAGE = 10;

export interface EntryQuery {
  /** The first sequence number wanted, or where an earlier page ended. */
  readonly from: number;
  readonly limit: number;
  /** Only entries of these types. */
  readonly types: readonly string[] | undefined;
  /** Only the chain of one slice; 0 for the account's own. */
  readonly slice: number | undefined;
}

/** An entry with the slice whose chain it stands in; 0 for the account's own. */
export interface ChainedEntry extends EntryRecord {
  readonly slice: number;
}

export interface EntryPage {
  readonly entries: readonly ChainedEntry[];
  /** What the next page starts from; null at the end of the last chain. */
  readonly next: number | null;
}

/**
 * A page of entries, each chain oldest first. Under a filter that few entries pass, a page may hold less than its limit
 * (even nothing) and yet have a next one.
 */
export async function readEntries(env: Env, key: ApiKey, query: EntryQuery): Promise<Answer<EntryPage>> {
  const { types, limit } = query;
  const entries: ChainedEntry[] = [];
  const place = placeOf(query.from);
  let slice = query.slice ?? place.slice;
  let from = Math.max(1, place.seq);
  for (let chunk = 0; chunk < CHUNKS_PER_PAGE; chunk++) {
    const wanted = types === undefined ? Math.min(CHUNK_ROWS, limit - entries.length) : CHUNK_ROWS;
    const answer = await chunkOf(env, key, slice, from, wanted);
    if (!answer.ok) return answer;
    for (const entry of answer.value) {
      from = entry.seq + 1;
      if (types === undefined || types.includes(entry.type)) entries.push({ ...entry, slice });
      if (entries.length === limit) return { ok: true, value: { entries, next: cursorOf({ slice, seq: from }) } };
    }
    if (answer.value.length === wanted) continue;
    // Slices are made one after the other, and none without an entry: the first one that has none ends them.
    const isLast = query.slice !== undefined || (slice > 0 && from === 1 && answer.value.length === 0);
    if (isLast) return { ok: true, value: { entries, next: null } };
    [slice, from] = [slice + 1, 1];
  }
  return { ok: true, value: { entries, next: cursorOf({ slice, seq: from }) } };
}

function chunkOf(
  env: Env,
  { account, secretHash }: ApiKey,
  slice: number,
  from: number,
  rows: number,
): Promise<Answer<EntryRecord[]>> {
  return onAccount(env, account, (object) => object.entries({ secretHash }, from - 1, rows, slice));
}

/**
 * All entries that a query asks for, page by page. The first page is there before this resolves, so that a refusal is
 * still an answer of its own.
 */
export async function streamEntries(
  env: Env,
  key: ApiKey,
  query: EntryQuery,
): Promise<Answer<AsyncIterable<readonly ChainedEntry[]>>> {
  const first = await readEntries(env, key, { ...query, limit: Math.min(query.limit, CHUNK_ROWS) });
  return first.ok ? { ok: true, value: pagesFrom(env, key, query, first.value) } : first;
}

async function* pagesFrom(
  env: Env,
  key: ApiKey,
  query: EntryQuery,
  first: EntryPage,
): AsyncGenerator<readonly ChainedEntry[]> {
  let page = first;
  let left = query.limit;
  for (;;) {
    yield page.entries;
    left -= page.entries.length;
    if (page.next === null || left <= 0) return;
    const answer = await readEntries(env, key, { ...query, from: page.next, limit: Math.min(left, CHUNK_ROWS) });
    // The key was revoked meanwhile: the stream breaks off, which its reader can tell from its end.
    if (!answer.ok) throw new Error(answer.refusal.code);
    page = answer.value;
  }
}
