/**
 * Transfers on their way to another account. A transfer leaves with a row in the outbox, in the transaction of its debit,
 * and the row goes when the other account has said that it has it: what happens in between, it arrives once.
 */

import { LIMITS } from "../../core/limits.ts";
import type { CreditResult, Transfer } from "../../protocol/internal/account.ts";
import type { Move } from "../../protocol/internal/move.ts";
import { emit, emitError } from "../shared/events.ts";

/** Who takes what is brought; the same again is answered as the first time. */
export interface Receiver {
  receive(what: Transfer & Move): Promise<CreditResult>;
}

interface RawOutgoing extends Record<string, SqlStorageValue> {
  id: string;
  recipient: string;
  transfer: string;
}

/** Transfers that one alarm brings: each is a call of another object, and a Worker may have a thousand in one event. */
const MOST_AT_ONCE = 64;

export class Outgoing {
  readonly #sql: SqlStorage;
  /** Alarms in a row that brought nothing. */
  #fruitless = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** `to` is an account's id, or the name of one of its slices. */
  add(to: string, transfer: Transfer | Move): void {
    this.#sql.exec(
      "INSERT INTO outbox (id, recipient, transfer) VALUES (?, ?, ?)",
      transfer.id,
      to,
      JSON.stringify(transfer),
    );
  }

  /** The other side has confirmed it. */
  remove(id: string): void {
    this.#sql.exec("DELETE FROM outbox WHERE id = ?", id);
  }

  has(id: string): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox WHERE id = ?", id).toArray().length > 0;
  }

  /** Whether anything is owed to a recipient. */
  hasFor(recipient: string): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox WHERE recipient = ? LIMIT 1", recipient).toArray().length > 0;
  }

  get isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox LIMIT 1").toArray().length === 0;
  }

  /**
   * Brings one transfer to its account, or as many as one alarm may, in a different order each time so that none that
   * cannot be brought stands in front of others. What could not be brought stays for the next time.
   */
  async deliver(receiverOf: (name: string) => Receiver, only: string | null = null): Promise<void> {
    const rows = this.#sql
      .exec<RawOutgoing>(
        "SELECT id, recipient, transfer FROM outbox WHERE ?1 IS NULL OR id = ?1 ORDER BY random() LIMIT ?2",
        only,
        MOST_AT_ONCE,
      )
      .toArray();
    const before = rows.length;
    await Promise.all(rows.map((row) => this.#bring(row, receiverOf)));
    const left = rows.filter(({ id }) => this.has(id)).length;
    if (only === null) this.#fruitless = before > 0 && left === before ? this.#fruitless + 1 : 0;
  }

  /** When to try again: later each time that nothing could be brought, as every alarm is billed. */
  retryMs(): number {
    return Math.min(LIMITS.accountAlarmMs, LIMITS.transferRetryMs * 2 ** this.#fruitless);
  }

  async #bring({ id, recipient, transfer }: RawOutgoing, receiverOf: (name: string) => Receiver): Promise<void> {
    try {
      const result = await receiverOf(recipient).receive(JSON.parse(transfer) as Transfer & Move);
      // It was asked before whether it could take the amount; a refusal now is rare, passing, and nothing is lost by it.
      if (result.type === "refused") emit("transfer_refused", { transfer: id, code: result.refusal.code });
      else this.remove(id);
    } catch (error) {
      emitError("transfer_not_delivered", error, { transfer: id });
    }
  }
}
