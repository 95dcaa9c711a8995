/** Reading and writing an account's rows. Every write happens inside the caller's transaction. */

import type { HoldDecision } from "../../core/account/hold.ts";
import type { AccountEvent, AccountState, Hold, Link } from "../../core/account/state.ts";
import { apply, dump, emptyAccount, restore } from "../../core/account/state.ts";
import { holdSlot, type JobId, jobIdFloor, jobTime } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { hashText } from "../../core/receipt/canonical.ts";
import { DAY_MS } from "../../core/time.ts";
import type { EntryRecord } from "../../protocol/internal/account.ts";

/**
 * What a row of `holds` keeps: the reservation, or the refusal that a repeated call must get again; and for a keyed job
 * the name of the call that made it.
 */
export type HoldRecord = ({ readonly hold: Hold } | { readonly refused: StoredRefusal }) & {
  readonly call: string | false;
};

export type StoredRefusal = Exclude<HoldDecision, { readonly type: "held" }>;

export interface HoldRow {
  readonly slot: string;
  readonly attempt: number;
  readonly job: JobId;
  readonly body: string;
  readonly record: HoldRecord;
}

interface RawHold extends Record<string, SqlStorageValue> {
  slot: string;
  attempt: number;
  job: string;
  hold_order: number;
  after_seq: number;
  body: string;
  record: string;
}

export interface EntryRow {
  readonly seq: number;
  readonly at: number;
  readonly type: string;
  readonly body: string;
  readonly event: AccountEvent;
}

interface RawEntry extends Record<string, SqlStorageValue> {
  seq: number;
  at: number;
  type: string;
  event: string;
  body: string;
}

/** The rows of one account. */
export class AccountStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The latest row in a slot. */
  holdIn(slot: string): HoldRow | null {
    const [row] = this.#sql
      .exec<RawHold>("SELECT * FROM holds WHERE slot = ? ORDER BY attempt DESC LIMIT 1", slot)
      .toArray();
    return row === undefined ? null : holdRow(row);
  }

  /** The row of one job; a slot may also have other attempts of the same idempotency key. */
  holdOf(job: JobId): HoldRow | null {
    const [row] = this.#sql
      .exec<RawHold>("SELECT * FROM holds WHERE slot = ? AND job = ?", holdSlot(job), job)
      .toArray();
    return row === undefined ? null : holdRow(row);
  }

  addHold(row: Omit<HoldRow, "record">, record: HoldRecord, order: number, afterSeq: number, at: number): void {
    this.#sql.exec(
      "INSERT INTO holds (slot, attempt, job, hold_order, after_seq, at, body, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      row.slot,
      row.attempt,
      row.job,
      order,
      afterSeq,
      at,
      row.body,
      JSON.stringify(record),
    );
  }

  addEntry(entry: EntryRecord, event: AccountEvent, job: JobId | null, n: number | null): void {
    this.#sql.exec(
      "INSERT INTO entries (seq, at, type, job, n, event, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
      entry.seq,
      entry.at,
      entry.type,
      job,
      n,
      JSON.stringify(event),
      entry.body,
    );
  }

  /** Entries from `from` on, oldest first. */
  entries(from: number, limit: number): EntryRow[] {
    return this.#sql
      .exec<RawEntry>("SELECT seq, at, type, event, body FROM entries WHERE seq >= ? ORDER BY seq LIMIT ?", from, limit)
      .toArray()
      .map(entryRow);
  }

  /** Those of some entries that there are, without what the account alone needs of them. */
  records(seqs: readonly number[]): EntryRecord[] {
    const found = seqs.flatMap((seq) => this.entries(seq, 1).filter((entry) => entry.seq === seq));
    return found.map(({ seq, at, type, body }) => ({ seq, at, type, body }));
  }

  /** A page of entries after `after`, oldest first, without what only the fold needs. */
  page(after: number, limit: number): EntryRecord[] {
    const rows = this.entries(after + 1, Math.min(limit, LIMITS.maxPageRows));
    return rows.map(({ seq, at, type, body }) => ({ seq, at, type, body }));
  }

  /** What the newest entries after `after` were, oldest first, at most `limit` of them. */
  causes(after: number, limit: number): { seq: number; type: string; job: string | null }[] {
    return this.#sql
      .exec<{ seq: number; type: string; job: string | null }>(
        "SELECT seq, type, job FROM entries WHERE seq > ? ORDER BY seq DESC LIMIT ?",
        after,
        limit,
      )
      .toArray()
      .reverse();
  }

  /**
   * The first entry of a job after `after`. None is older than its job, so bisecting the times tells where to start; the
   * read stops at the entry, which for a hold that has ended is never far.
   */
  entryOf(job: JobId, lastSeq: number, after = 0): EntryRow | null {
    const from = Math.max(after + 1, this.firstSeqAt(jobTime(job) - LIMITS.clockSkewMs, lastSeq));
    const [row] = this.#sql
      .exec<RawEntry>(
        "SELECT seq, at, type, event, body FROM entries WHERE seq >= ? AND job = ? ORDER BY seq LIMIT 1",
        from,
        job,
      )
      .toArray();
    return row === undefined ? null : entryRow(row);
  }

  /** The entry that took a job's receipt back, which stands after it. It is looked for by hand alone, so a scan will do. */
  reversalOf(job: JobId, after: number): EntryRow | null {
    const [row] = this.#sql
      .exec<RawEntry>(
        "SELECT seq, at, type, event, body FROM entries WHERE seq > ? AND job = ? AND n > 0 ORDER BY seq LIMIT 1",
        after,
        job,
      )
      .toArray();
    return row === undefined ? null : entryRow(row);
  }

  /** The least seq whose entry was made at or after a time; one past the last when there is none. */
  firstSeqAt(time: number, lastSeq: number): number {
    let low = 1;
    let high = lastSeq + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { at } = this.#sql.exec<{ at: number }>("SELECT at FROM entries WHERE seq = ?", middle).one();
      if (at < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The id and text of a command that was carried out before. */
  command(id: string): { command: string; seq: number } | null {
    const [row] = this.#sql
      .exec<{ command: string; seq: number }>("SELECT command, seq FROM commands WHERE id = ?", id)
      .toArray();
    return row ?? null;
  }

  addCommand(id: string, command: string, seq: number): void {
    this.#sql.exec("INSERT INTO commands (id, command, seq) VALUES (?, ?, ?)", id, command, seq);
  }

  attempts(): Map<JobId, number> {
    const rows = this.#sql.exec<{ job: string; fence: number }>("SELECT job, fence FROM attempts").toArray();
    return new Map(rows.map(({ job, fence }) => [job as JobId, fence]));
  }

  setAttempt(job: JobId, fence: number): void {
    this.#sql.exec(
      "INSERT INTO attempts (job, fence) VALUES (?, ?) ON CONFLICT (job) DO UPDATE SET fence = excluded.fence",
      job,
      fence,
    );
  }

  clearAttempt(job: JobId): void {
    this.#sql.exec("DELETE FROM attempts WHERE job = ?", job);
  }

  setting(name: string): string | null {
    const [row] = this.#sql.exec<{ value: string }>("SELECT value FROM settings WHERE name = ?", name).toArray();
    return row?.value ?? null;
  }

  set(name: string, value: string): void {
    this.#sql.exec(
      "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      name,
      value,
    );
  }

  saveSnapshot(state: AccountState): void {
    this.#sql.exec(
      "INSERT INTO snapshot (id, state) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
      dump(state),
    );
  }

  /** Folds the account's state from its snapshot and what came after: holds and entries, in the order they happened. */
  load(): AccountState {
    const [snapshot] = this.#sql.exec<{ state: string }>("SELECT state FROM snapshot").toArray();
    const state = snapshot === undefined ? emptyAccount() : restore(snapshot.state);
    const holds = this.#holdsAfter(state);
    let next = 0;
    const applyHoldsBefore = (seq: number): void => {
      for (let row = holds[next]; row !== undefined && row.after_seq < seq; row = holds[++next]) {
        const { record } = holdRow(row);
        if ("hold" in record) apply(state, { type: "held", hold: record.hold }, record.hold.at);
      }
    };
    const cursor = this.#sql.exec<RawEntry>(
      "SELECT seq, at, type, event, body FROM entries WHERE seq > ? ORDER BY seq",
      state.seq,
    );
    for (const row of cursor) {
      applyHoldsBefore(row.seq);
      const entry = entryRow(row);
      apply(state, entry.event, entry.at, linkOf(entry));
    }
    applyHoldsBefore(Number.MAX_SAFE_INTEGER);
    return state;
  }

  /** The reservations that a state does not know yet, in their order. Job ids sort by time, so old rows are not read. */
  #holdsAfter(state: AccountState): RawHold[] {
    const since = state.clock - LIMITS.clockSkewMs;
    const day = Math.max(0, Math.floor(since / DAY_MS));
    return this.#sql
      .exec<RawHold>(
        `SELECT * FROM holds WHERE hold_order > ?1 AND slot >= ?2 AND slot < 'k'
         UNION ALL SELECT * FROM holds WHERE hold_order > ?1 AND slot >= ?3
         ORDER BY hold_order`,
        state.order,
        jobIdFloor(since),
        `k${String(day).padStart(6, "0")}`,
      )
      .toArray();
  }
}

function holdRow(row: RawHold): HoldRow {
  return {
    slot: row.slot,
    attempt: row.attempt,
    job: row.job as JobId,
    body: row.body,
    record: JSON.parse(row.record) as HoldRecord,
  };
}

function entryRow(row: RawEntry): EntryRow {
  return {
    seq: row.seq,
    at: row.at,
    type: row.type,
    body: row.body,
    event: JSON.parse(row.event) as AccountEvent,
  };
}

function linkOf(entry: EntryRow): Link {
  return { seq: entry.seq, head: hashText(entry.body) };
}
