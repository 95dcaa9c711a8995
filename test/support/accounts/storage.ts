/**
 * The storage of an Account object in Node (or of another one, with its migrations): the same tables in SQLite's memory, so that the object's own ledger can live
 * thousands of lives a second. A write can be made to fail, as where the disk is away or the object ends in the middle.
 */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { ACCOUNT_MIGRATIONS } from "../../../durable-objects/account/schema.ts";

/** What a write throws that was made to fail. */
export class WriteFailed extends Error {
  override readonly name = "WriteFailed";
}

type Row = Record<string, SqlStorageValue>;
const READS = /^\s*SELECT\b/;

export class MemoryStorage implements DurableObjectStorage {
  readonly #database = new DatabaseSync(":memory:");
  readonly #statements = new Map<string, StatementSync>();
  #writesLeft = Number.POSITIVE_INFINITY;

  constructor(migrations: readonly string[] = ACCOUNT_MIGRATIONS) {
    for (const migration of migrations) this.#database.exec(migration);
    this.#database.exec("BEGIN");
  }

  readonly sql: SqlStorage = {
    exec: <T extends Row>(query: string, ...bindings: unknown[]) => {
      if (!READS.test(query) && this.#writesLeft-- <= 0) throw new WriteFailed(query);
      const rows = this.#prepared(query).all(...(bindings as SQLInputValue[])) as T[];
      return Object.assign(rows, { toArray: () => rows, one: () => onlyOne(rows) });
    },
  };

  transactionSync<T>(closure: () => T): T {
    this.#database.exec("SAVEPOINT command");
    try {
      const result = closure();
      this.#database.exec("RELEASE command");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK TO command; RELEASE command");
      throw error;
    }
  }

  /** Lets some more writes through and none after them, until {@link mend}. */
  breakAfter(writes: number): void {
    this.#writesLeft = writes;
  }

  mend(): void {
    this.#writesLeft = Number.POSITIVE_INFINITY;
  }

  /** Forgets every row: another life begins. */
  clear(): void {
    this.mend();
    this.#database.exec("ROLLBACK; BEGIN");
  }

  #prepared(query: string): StatementSync {
    const known = this.#statements.get(query);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(query);
    this.#statements.set(query, statement);
    return statement;
  }
}

function onlyOne<T>(rows: readonly T[]): T {
  const [row] = rows;
  if (row === undefined || rows.length !== 1) throw new Error(`${rows.length} rows where there must be one`);
  return row;
}
