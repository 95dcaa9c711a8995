/** An account's chain of entries, read page by page. */

import type { ApiKey } from "../../protocol/api-key.ts";
import type { Answer, EntryRecord } from "../../protocol/internal/account.ts";
import { onAccount } from "../objects.ts";

/** Entries of one call to the account: at some 1.2 KB each, well under what an RPC may carry. */
const CHUNK_ROWS = 500;
/** Calls that one page may cost when a filter lets few entries through. */
const CHUNKS_PER_PAGE = 10;

export interface EntryQuery {
  /** The first sequence number wanted. */
  readonly from: number;
  readonly limit: number;
  /** Only entries of these types. */
  readonly types: readonly string[] | undefined;
}

export interface EntryPage {
  readonly entries: readonly EntryRecord[];
  /** The sequence number that the next page starts from; null at the end of the chain. */
  readonly next: number | null;
}

/**
 * A page of entries, oldest first. Under a filter that few entries pass, a page may hold less than its limit (even
 * nothing) and yet have a next one.
 */
export async function readEntries(env: Env, key: ApiKey, query: EntryQuery): Promise<Answer<EntryPage>> {
  const { types, limit } = query;
  const entries: EntryRecord[] = [];
  let from = Math.max(1, query.from);
  for (let chunk = 0; chunk < CHUNKS_PER_PAGE; chunk++) {
    const wanted = types === undefined ? Math.min(CHUNK_ROWS, limit - entries.length) : CHUNK_ROWS;
    const answer = await chunkOf(env, key, from, wanted);
    if (!answer.ok) return answer;
    for (const entry of answer.value) {
      from = entry.seq + 1;
      if (types === undefined || types.includes(entry.type)) entries.push(entry);
      if (entries.length === limit) return { ok: true, value: { entries, next: from } };
    }
    if (answer.value.length < wanted) return { ok: true, value: { entries, next: null } };
  }
  return { ok: true, value: { entries, next: from } };
}

function chunkOf(
  env: Env,
  { account, secretHash }: ApiKey,
  from: number,
  rows: number,
): Promise<Answer<EntryRecord[]>> {
  return onAccount(env, account, (object) => object.entries({ secretHash }, from - 1, rows));
}

/**
 * All entries that a query asks for, page by page. The first page is there before this resolves, so that a refusal is
 * still an answer of its own.
 */
export async function streamEntries(
  env: Env,
  key: ApiKey,
  query: EntryQuery,
): Promise<Answer<AsyncIterable<readonly EntryRecord[]>>> {
  const first = await readEntries(env, key, { ...query, limit: Math.min(query.limit, CHUNK_ROWS) });
  return first.ok ? { ok: true, value: pagesFrom(env, key, query, first.value) } : first;
}

async function* pagesFrom(
  env: Env,
  key: ApiKey,
  query: EntryQuery,
  first: EntryPage,
): AsyncGenerator<readonly EntryRecord[]> {
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
