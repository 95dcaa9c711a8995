/** The rows of a scheduler: who is registered, and which start this is. */

import type { DaemonId } from "../../core/ids.ts";
import type { Fairness } from "../../core/scheduler/snapshot.ts";
import type { Registration } from "../../protocol/internal/pool.ts";

/** Fences of one start; 2^22 jobs at a few hundred a second are hours, and then the next number is taken. */
const FENCES_PER_INCARNATION = 2 ** 22;

/** What a row of an earlier version lacks; its relay is asked for the rest before anybody is served. */
const NEWER_FIELDS = { networks: [] };

export class Registry {
  readonly #sql: SqlStorage;
  #incarnation = 0;
  #granted = FENCES_PER_INCARNATION;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  all(): Registration[] {
    return this.#sql
      .exec<{ registration: string }>("SELECT registration FROM registrations")
      .toArray()
      .map((row) => ({ ...NEWER_FIELDS, ...(JSON.parse(row.registration) as Registration) }));
  }

  put(registration: Registration): void {
    this.#sql.exec(
      `INSERT INTO registrations (daemon, relay, registration) VALUES (?, ?, ?)
       ON CONFLICT (daemon) DO UPDATE SET relay = excluded.relay, registration = excluded.registration`,
      registration.daemon,
      registration.relay,
      JSON.stringify(registration),
    );
  }

  /** Removes a daemon if the relay that says so is the one that has it. */
  remove(daemon: DaemonId, relay: string): void {
    this.#sql.exec("DELETE FROM registrations WHERE daemon = ? AND relay = ?", daemon, relay);
  }

  /** The fairness counters that were kept last, or null. */
  fairness(): Fairness | null {
    const [row] = this.#sql.exec<{ counters: string }>("SELECT counters FROM fairness").toArray();
    return row === undefined ? null : (JSON.parse(row.counters) as Fairness);
  }

  putFairness(counters: Fairness): void {
    this.#sql.exec("INSERT OR REPLACE INTO fairness (id, counters) VALUES (1, ?)", JSON.stringify(counters));
  }

  /**
   * The next fence: greater than every one before, in this start and in earlier ones. The number of the start is written
   * before its first fence is used, so a start that granted nothing costs no row.
   */
  nextFence(): number {
    if (this.#granted >= FENCES_PER_INCARNATION) {
      this.#incarnation = this.#sql
        .exec<{ number: number }>(
          `INSERT INTO incarnation (id, number) VALUES (1, 1)
           ON CONFLICT (id) DO UPDATE SET number = number + 1 RETURNING number`,
        )
        .one().number;
      this.#granted = 0;
    }
    this.#granted += 1;
    return this.#incarnation * FENCES_PER_INCARNATION + this.#granted;
  }

  /** Fences from now on are greater than one that another region's pool has given. */
  raise(fence: number): void {
    const start = Math.floor(fence / FENCES_PER_INCARNATION);
    if (start < this.#incarnation) return;
    if (start === this.#incarnation) {
      this.#granted = Math.max(this.#granted, fence % FENCES_PER_INCARNATION);
      return;
    }
    this.#sql.exec(
      `INSERT INTO incarnation (id, number) VALUES (1, ?)
       ON CONFLICT (id) DO UPDATE SET number = max(number, excluded.number)`,
      start,
    );
    // The next fence begins a new start.
    this.#granted = FENCES_PER_INCARNATION;
  }
}
