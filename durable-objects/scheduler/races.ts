/** Who has won where two daemons were asked for one job (docs/decisions/0059). */

import { LIMITS } from "../../core/limits.ts";

/** Rows that go with each new one: more than come. */
const FORGOTTEN = 2;

export class Races {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Whether an attempt has won a race, both by their fences. The first that asks has, whatever is asked how often
   * afterwards, and also of a later life of this object: the answer leaves only when the row is on disk.
   */
  win(race: number, fence: number, now: number): boolean {
    this.#sql.exec(
      "INSERT INTO races (race, winner, at) VALUES (?, ?, ?) ON CONFLICT (race) DO NOTHING",
      race,
      fence,
      now,
    );
    const { winner } = this.#sql.exec<{ winner: number }>("SELECT winner FROM races WHERE race = ?", race).one();
    this.#forget(now);
    return winner === fence;
  }

  /** Forgets the oldest races, whose holds have ended: fences grow, so they stand in front. */
  #forget(now: number): void {
    this.#sql.exec(
      `DELETE FROM races WHERE race IN
         (SELECT race FROM (SELECT race, at FROM races ORDER BY race LIMIT ?) WHERE at <= ?)`,
      FORGOTTEN,
      now - LIMITS.raceKeptMs,
    );
  }
}
