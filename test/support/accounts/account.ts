/** One account of the model: its real ledger over rows in memory, and its second book. */

import { strict as assert } from "node:assert";
import type { KeyTerms } from "../../../core/account/budget.ts";
import { decideHold } from "../../../core/account/hold.ts";
import { dump } from "../../../core/account/state.ts";
import { type AccountId, base62, type KeyId } from "../../../core/ids.ts";
import { nanoUsd, type Peg } from "../../../core/units.ts";
import { Ledger } from "../../../durable-objects/account/ledger.ts";
import { Outgoing } from "../../../durable-objects/account/outgoing.ts";
import { allotmentOf, findEarlier, heldTerms, repeatedAnswer } from "../../../durable-objects/account/reservations.ts";
import type { EntryRow } from "../../../durable-objects/account/store.ts";
import { debit, maySend } from "../../../durable-objects/account/transfers.ts";
import type { HoldRequest, HoldResult, SendCommand, SendResult, Transfer } from "../../../protocol/internal/account.ts";
import { Book } from "./book.ts";
import { PARAMETERS } from "./market.ts";
import { type Fate, MOST_ACCOUNTS } from "./steps.ts";
import { MemoryStorage, WriteFailed } from "./storage.ts";

/** An account's keys: one without a budget, and one for each of a budget's resets. */
export const KEYS: readonly KeyTerms[] = (
  [null, ["daily", 350], ["weekly", 500], ["monthly", 800], ["never", 1_200]] as const
).map((budget, index) => ({
  id: base62(new Uint8Array(16).fill(index)) as KeyId,
  models: null,
  budget: budget && { reset: budget[0], nanoUsd: nanoUsd(budget[1]) },
}));

/** Made once, as a life only has to forget the rows of the one before. */
const storages = Array.from({ length: MOST_ACCOUNTS }, () => new MemoryStorage());

export interface Outbound {
  readonly to: AccountId;
  readonly transfer: Transfer;
}

export class ModelAccount {
  readonly id: AccountId;
  readonly book = new Book(KEYS.map(({ budget }) => budget));
  readonly outgoing: Outgoing;
  readonly #storage: MemoryStorage;
  #ledger: Ledger;

  constructor(id: AccountId, index: number) {
    const storage = storages[index];
    if (storage === undefined) throw new RangeError(`there are ${storages.length} accounts`);
    this.id = id;
    this.#storage = storage;
    storage.clear();
    this.#ledger = this.#load();
    this.outgoing = new Outgoing(storage.sql);
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  /** Asks for something as its fate has it. Whoever asks for the same again is told the same. */
  ask<T>(fate: Fate, call: () => T): T {
    if (fate.type === "twice") {
      const first = call();
      assert.deepEqual(essence(call()), essence(first), "the same call again is answered the same");
      return first;
    }
    if (fate.type === "lost") {
      call();
      this.restart();
    }
    if (fate.type === "unwritten") {
      this.#storage.breakAfter(fate.writes);
      try {
        call();
      } catch (error) {
        if (!(error instanceof WriteFailed)) throw error;
      } finally {
        this.#storage.mend();
      }
      if (fate.restarted) this.restart();
    }
    return call();
  }

  /** Drops the memory: what the rows say is what was remembered, with the snapshot and without. */
  restart(): void {
    const remembered = dump(this.#ledger.state);
    this.#ledger = this.#load();
    assert.equal(dump(this.#ledger.state), remembered, "the rows fold into what was remembered");
  }

  /** The same for the whole past, without its snapshot. */
  refold(): void {
    this.#storage.sql.exec("DELETE FROM snapshot");
    this.restart();
  }

  snapshot(): void {
    this.#ledger.store.saveSnapshot(this.#ledger.state);
  }

  entriesFrom(seq: number): EntryRow[] {
    return this.#ledger.store.entries(seq, 1_000);
  }

  /** As the object holds, but for keys that are looked up and quotas that are counted elsewhere. */
  hold(request: HoldRequest, key: KeyTerms, peg: Peg, at: number): HoldResult {
    const ledger = this.#ledger;
    const now = ledger.timeOf(at);
    ledger.sweep(now);
    const earlier = findEarlier(ledger, request, now);
    if (earlier.type === "refused") return earlier;
    if (earlier.type === "repeated") return repeatedAnswer(ledger, earlier.row, () => this.#held(request));
    const decision = decideHold(ledger.state, { ...request, key, peg }, PARAMETERS, now);
    const { job, body, keyed: call } = request;
    ledger.recordHold({ slot: earlier.slot, attempt: earlier.attempt, job, body, call }, decision, now);
    return decision.type === "held" ? this.#held(request) : decision;
  }

  #held({ job }: HoldRequest): HoldResult {
    const hold = this.#ledger.openHold(job);
    if (hold === undefined) throw new Error(`${job} is not held`);
    const { state } = this.#ledger;
    return { type: "held", ...heldTerms(state, hold, this.#ledger.remaining(), allotmentOf(state, hold, PARAMETERS)) };
  }

  /** As the object sends, but for the other account, which is asked first there. */
  send(command: SendCommand, now: number): SendResult {
    const books = { ledger: this.#ledger, outgoing: this.outgoing };
    const sending = maySend(books, command, PARAMETERS, now);
    if ("type" in sending) return sending;
    return { type: "sent", seq: debit(books, command, sending, now), delivered: !this.outgoing.has(command.id) };
  }

  /** Transfers that wait to be brought to their accounts. */
  outbox(): Outbound[] {
    const rows = this.#storage.sql.exec("SELECT recipient, transfer FROM outbox ORDER BY id").toArray();
    return rows.map(({ recipient, transfer }) => ({
      to: recipient as AccountId,
      transfer: JSON.parse(transfer as string) as Transfer,
    }));
  }

  confirm({ id }: Transfer): void {
    this.#storage.sql.exec("DELETE FROM outbox WHERE id = ?", id);
  }

  #load(): Ledger {
    const broken = (reason: string): never => {
      throw new Error(`memory and rows differ: ${reason}`);
    };
    return new Ledger(this.#storage, broken, () => {});
  }
}

/** What must be the same however often something is asked: not whether a transfer has been confirmed since. */
function essence(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer ?? null));
}
