/**
 * Transfers on their way to another account. A transfer leaves with a row in the outbox, in the transaction of its debit,
 * and the row goes when the other account has said that it has it: what happens in between, it arrives once.
 */

import type { AccountId } from "../../core/ids.ts";
import type { AccountRpc, Transfer } from "../../protocol/internal/account.ts";
import { emit, emitError } from "../shared/events.ts";

interface RawOutgoing extends Record<string, SqlStorageValue> {
  id: string;
  recipient: string;
  transfer: string;
}

export class Outgoing {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add(to: AccountId, transfer: Transfer): void {
    this.#sql.exec(
      "INSERT INTO outbox (id, recipient, transfer) VALUES (?, ?, ?)",
      transfer.id,
      to,
      JSON.stringify(transfer),
    );
  }

  has(id: string): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox WHERE id = ?", id).toArray().length > 0;
  }

  get isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox LIMIT 1").toArray().length === 0;
  }

  /** Brings everything that waits to its account, each at its own pace. What could not be brought stays for the next time. */
  async deliver(accountOf: (id: AccountId) => Pick<AccountRpc, "receive">): Promise<void> {
    const rows = this.#sql.exec<RawOutgoing>("SELECT id, recipient, transfer FROM outbox ORDER BY id").toArray();
    await Promise.all(rows.map((row) => this.#bring(row, accountOf)));
  }

  async #bring(
    { id, recipient, transfer }: RawOutgoing,
    accountOf: (id: AccountId) => Pick<AccountRpc, "receive">,
  ): Promise<void> {
    try {
      const result = await accountOf(recipient as AccountId).receive(JSON.parse(transfer) as Transfer);
      // It was asked before whether it could take the amount; a refusal now is rare, passing, and nothing is lost by it.
      if (result.type === "refused") emit("transfer_refused", { transfer: id, code: result.refusal.code });
      else this.#sql.exec("DELETE FROM outbox WHERE id = ?", id);
    } catch (error) {
      emitError("transfer_not_delivered", error, { transfer: id });
    }
  }
}
