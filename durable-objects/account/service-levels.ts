/**
 * The service level of the account's days (economics.md §10), measured by its own alarm once a day is over and every job of
 * it has ended: a row for each day that had jobs of `dedicated`, written once, in one transaction with the entry that
 * extends packages where the level was missed. Nothing is kept while it is measured: what breaks off begins again.
 */

import {
  isMissed,
  type ServiceLevel,
  ServiceMeter,
  waitOfReceipt,
  waitOfRelease,
} from "../../core/account/service-level.ts";
import { epochStart } from "../../core/allotment/epochs.ts";
import { jobTime } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import type { ServiceDay } from "../../protocol/internal/account.ts";
import { sha256Hex } from "../shared/hash.ts";
import type { Extended, Ledger } from "./ledger.ts";
import type { EntryRow } from "./store.ts";

export interface ServiceLevelsHost {
  readonly storage: DurableObjectStorage;
  readonly parameters: Parameters;
  /** The account's ledger; null while it was never opened. */
  ledger(): Ledger | null;
  /** Rings the account's alarm at a time, or before. */
  wakeAt(time: number): void;
}

/** When the alarm comes back for what could not be measured. */
const RETRY_MS = 60_000;

interface RawDay extends Record<string, SqlStorageValue> {
  day: number;
  level: string;
  seq: number | null;
}

export class ServiceLevels {
  readonly #host: ServiceLevelsHost;
  #measuring: Promise<boolean> | null = null;

  constructor(host: ServiceLevelsHost) {
    this.#host = host;
  }

  /** Sees to it that the account wakes when the next day can be measured. */
  plan(): void {
    const ledger = this.#host.ledger();
    const [day] = ledger === null ? [] : this.#unmeasured(ledger);
    if (ledger === null || day === undefined) return;
    this.#host.wakeAt(Math.max(closesAt(ledger, day), ledger.timeOf(Date.now()) + RETRY_MS));
  }

  /** Measures every day that is due, oldest first, however often it is asked to. True where packages were extended. */
  async measure(): Promise<boolean> {
    this.#measuring ??= this.#measureDue().finally(() => {
      this.#measuring = null;
    });
    return await this.#measuring;
  }

  async #measureDue(): Promise<boolean> {
    const ledger = this.#host.ledger();
    if (ledger === null) return false;
    const now = ledger.timeOf(Date.now());
    ledger.sweep(now);
    const due = this.#unmeasured(ledger).filter((day) => closesAt(ledger, day) <= now);
    const [first] = due;
    if (first === undefined) return false;
    const meter = await readMeter(ledger, first);
    let isExtended = false;
    for (const day of due) isExtended = this.#conclude(ledger, meter.level(day)) || isExtended;
    return isExtended;
  }

  #conclude(ledger: Ledger, level: ServiceLevel): boolean {
    const { parameters, storage } = this.#host;
    const missed = isMissed(level, parameters);
    let isExtended = false;
    const write = (extended: Extended | null): void => {
      isExtended = extended !== null;
      const row = { ...level, targetMs: parameters.serviceLevelMs, missed, extendedUntil: lastOf(extended) };
      storage.sql.exec(
        "INSERT INTO service_days (day, level, seq) VALUES (?, ?, ?)",
        level.day,
        JSON.stringify(row satisfies Omit<ServiceDay, "seq">),
        extended?.seq ?? null,
      );
    };
    if (missed) ledger.extend(level, parameters.serviceLevelMs, Date.now(), write);
    else write(null);
    return isExtended;
  }

  /** The measured days from one on, oldest first. */
  days(from: number): ServiceDay[] {
    return this.#host.storage.sql
      .exec<RawDay>("SELECT * FROM service_days WHERE day >= ? ORDER BY day LIMIT ?", from, LIMITS.serviceDays)
      .toArray()
      .map(({ level, seq }) => ({ ...(JSON.parse(level) as Omit<ServiceDay, "seq">), seq }));
  }

  /** Days with jobs of `dedicated` that have no row yet, oldest first. Days are measured in order, so the last row tells. */
  #unmeasured({ state }: Ledger): number[] {
    const { sql } = this.#host.storage;
    const { last } = sql.exec<{ last: number | null }>("SELECT max(day) AS last FROM service_days").one();
    return state.dedicatedDays.filter((day) => day > (last ?? -1));
  }
}

/** When a day can be measured: jobs of it that are open still must end first. */
function closesAt({ state }: Ledger, day: number): number {
  const end = epochStart(day + 1);
  let latest = end + LIMITS.serviceDelayMs;
  for (const hold of state.holds.values()) {
    if (hold.lane === "dedicated" && jobTime(hold.job) < end) latest = Math.max(latest, hold.expiresAt);
  }
  return latest;
}

/** Reads what was queued from a day on, some entries a turn. What comes meanwhile is of later days, or counts no more. */
async function readMeter({ store, state }: Ledger, day: number): Promise<ServiceMeter> {
  const meter = new ServiceMeter();
  const last = state.seq;
  let next = store.firstSeqAt(epochStart(day) - LIMITS.clockSkewMs, last);
  while (next <= last) {
    const rows = store.entries(next, Math.min(LIMITS.serviceRows, last - next + 1));
    for (const row of rows) {
      const waited = waitIn(row);
      if (waited !== null) meter.add(waited, row.seq, sha256Hex(row.body));
    }
    next += LIMITS.serviceRows;
    if (next <= last) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return meter;
}

function waitIn({ event, body }: EntryRow) {
  if (event.type === "posted") return waitOfReceipt(JSON.parse(body) as ReceiptBody);
  return event.type === "voided" ? waitOfRelease(JSON.parse(body)) : null;
}

function lastOf(extended: Extended | null): number | null {
  return extended === null ? null : Math.max(...extended.parts.map(({ expiresAt }) => expiresAt));
}
