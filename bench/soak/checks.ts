/** What has to hold when a soak is over, each rule by its name. */

import type { Books } from "./books.ts";
import type { SeenJob } from "./clients.ts";
import type { LoggedReceipts } from "./log.ts";
import {
  type Bound,
  HEAP,
  heapLeft,
  isFlat,
  MOST_HEAP_LEFT_MB,
  RESIDENT,
  RESIDENT_MINUTES,
  type Trend,
  trendOf,
} from "./memory.ts";
import type { Memory, Sample } from "./sample.ts";

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface Outcome {
  /** After the warm-up, when nothing ran. */
  readonly before: Memory;
  readonly samples: readonly Sample[];
  /** After the drain. */
  readonly after: Sample;
  readonly books: readonly Books[];
  /** Those of the accounts that paid for the warm-up, whose answers nobody kept. */
  readonly warmed: readonly Books[];
  readonly log: LoggedReceipts;
  readonly seen: readonly SeenJob[];
}

/** What daemons that come and go explain; any other error is a fault. */
const EXPLAINED = new Set(["stream_interrupted", "provider_failed", "no_provider", "queue_timeout"]);
/** What ends a stream well; one that met a bound ends by its length. */
const WHOLE = new Set(["completed", "timed_out"]);
const SHOWN = 3;

export function checksOf(outcome: Outcome): Check[] {
  const { before, samples, after, books, warmed, log, seen } = outcome;
  const { supply } = after;
  const all = [...books, ...warmed];
  const posted = all.reduce((sum, { receipts }) => sum + receipts.size, 0);
  const strange = [...seen.flatMap(strangeness), ...supply.complaints];
  return [
    none("nothing happened that no rule foresees", strange, `${seen.length} calls`),
    holds("no hold is left", after.openHolds === 0, `${after.openHolds} open`),
    holds("nothing waits", after.waiting === 0, `${after.waiting} waiting`),
    holds("every slot is free", after.free === after.slots && after.slots > 0, `${after.free} of ${after.slots}`),
    holds(
      "every claim was answered",
      supply.unanswered === 0 && supply.running === 0,
      `${supply.unanswered} unanswered, ${supply.running} running`,
    ),
    none(
      "every account's sums and chain hold",
      all.flatMap(({ faults }, account) => faults.map((fault) => `account ${account}: ${fault}`)),
      `${all.reduce((sum, { entries }) => sum + entries, 0)} entries of ${all.length} accounts`,
    ),
    none("the log is dense, and its windows balance", log.faults, `${log.hashes.size} receipts`),
    none("every posted receipt is in the log exactly once", logFaults(all, log), `${posted} posted`),
    none("consumers were charged what they were told", seenFaults(books, seen), `${seen.length} calls`),
    holds("no dead letter", after.deadLetters === 0, `${after.deadLetters}`),
    holds(
      "sockets are closed again",
      after.sockets <= before.sockets + SOCKETS_SPARE,
      `${before.sockets} → ${after.sockets}`,
    ),
    flat("the live heap is flat", trendOf(samples, "heapBytes"), HEAP),
    ...(isLongEnough(samples) ? [flat("resident memory is flat", trendOf(samples, "residentBytes"), RESIDENT)] : []),
    back("the live heap is back after the drain", heapLeft(before, after)),
  ];
}

/** What a call saw that no rule foresees. */
function strangeness({ seen }: SeenJob): string[] {
  if (seen.type === "broken") return [seen.reason];
  return seen.type === "failed" && !EXPLAINED.has(seen.code) ? [`error ${seen.code} of ${seen.job}`] : [];
}

/** Connections that whoever looks keeps open. */
const SOCKETS_SPARE = 16;

function holds(name: string, ok: boolean, detail: string): Check {
  return { name, ok, detail };
}

function none(name: string, faults: readonly string[], detail: string): Check {
  const more = faults.length > SHOWN ? ` and ${faults.length - SHOWN} more` : "";
  return {
    name,
    ok: faults.length === 0,
    detail: faults.length === 0 ? detail : faults.slice(0, SHOWN).join("; ") + more,
  };
}

function isLongEnough(samples: readonly Sample[]): boolean {
  return (samples.at(-1)?.at ?? 0) >= RESIDENT_MINUTES * 60;
}

const NOT_MEASURED = "not measured";

/** What cannot be measured here does not hold either: a soak that saw nothing has shown nothing. */
function flat(name: string, trend: Trend | null, bound: Bound): Check {
  if (trend === null) return holds(name, false, NOT_MEASURED);
  const { mbPerHour, riseMb } = trend;
  const most = `at most ${bound.mbPerHour}, or ${bound.noiseMb} MB in all`;
  return holds(name, isFlat(trend, bound), `${mbPerHour.toFixed(1)} MB/h, ${riseMb.toFixed(1)} MB in all; ${most}`);
}

function back(name: string, left: number | null): Check {
  if (left === null) return holds(name, false, NOT_MEASURED);
  return holds(name, left <= MOST_HEAP_LEFT_MB, `${left.toFixed(1)} MB more, at most ${MOST_HEAP_LEFT_MB}`);
}

function logFaults(books: readonly Books[], { hashes }: LoggedReceipts): string[] {
  const faults: string[] = [];
  let posted = 0;
  for (const { receipts } of books) {
    posted += receipts.size;
    for (const [key, { hash }] of receipts) {
      const logged = hashes.get(key);
      if (logged !== hash) faults.push(logged === undefined ? `${key} is missing` : `${key} is another receipt`);
    }
  }
  if (hashes.size !== posted) faults.push(`${hashes.size} in the log, ${posted} posted`);
  return faults;
}

/** A whole answer costs what it said; an answer that failed costs nothing; nobody is charged for a job he did not begin. */
function seenFaults(books: readonly Books[], seen: readonly SeenJob[]): string[] {
  const faults: string[] = [];
  const known = new Set<string>();
  let unnamed = 0;
  for (const { account, seen: call } of seen) {
    if (call.job === null) {
      unnamed += 1;
      continue;
    }
    const key = `${call.job}/0`;
    known.add(key);
    const receipt = books[account]?.receipts.get(key);
    if (call.type === "whole" && !(WHOLE.has(receipt?.outcome ?? "") && receipt?.millicredits === call.cost)) {
      faults.push(`${key} said ${call.cost} and has ${receipt?.outcome} of ${receipt?.millicredits}`);
    }
    if (call.type === "failed" && (receipt?.nanoUsd ?? 0) !== 0) faults.push(`${key} failed and was charged`);
  }
  const unknown = books.flatMap(({ receipts }) => [...receipts.keys()].filter((key) => !known.has(key)));
  if (unknown.length > unnamed) faults.push(`${unknown.length} receipts of ${unnamed} calls that know no job`);
  return faults;
}
