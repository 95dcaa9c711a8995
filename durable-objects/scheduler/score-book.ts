/**
 * The rows of a pool's scores. Many jobs share one: what was learned since the last writing is lost with the object. No timer
 * writes the rest, as it would keep the object awake for longer than the row is worth; the end of a pool's last job does.
 */

import type { DaemonId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import { PROBE_PASSES } from "../../core/routing/quarantine.ts";
import { declinedPart, reliabilityOf } from "../../core/routing/score.ts";
import { told } from "../../core/routing/speed.ts";
import type { DaemonRecord, Standings } from "../../core/routing/standings.ts";
import type { DaemonStanding } from "../../protocol/internal/pool.ts";
import { emit } from "../shared/events.ts";

export class ScoreBook {
  readonly #sql: SqlStorage;
  #writtenAt: number;

  constructor(sql: SqlStorage, now: number) {
    this.#sql = sql;
    this.#writtenAt = now - LIMITS.scoresIdleMs;
  }

  all(): DaemonRecord[] {
    return this.#sql
      .exec<{ record: string }>("SELECT record FROM scores")
      .toArray()
      .map((row) => JSON.parse(row.record) as DaemonRecord);
  }

  /** Writes what has changed: at once where a quarantine has, and otherwise no more than once in some time. */
  keep(standings: Standings, { model, isIdle }: { model: string; isIdle: boolean }, now: number): void {
    const { isUrgent } = standings;
    const writeAt = this.#writtenAt + (isIdle ? LIMITS.scoresIdleMs : LIMITS.scoresMs);
    if (!standings.hasChanged || (!isUrgent && now < writeAt)) return;
    this.#writtenAt = now;
    for (const record of standings.takeChanged()) {
      this.#put(record);
      if (isUrgent) tell(model, record);
    }
  }

  #put(record: DaemonRecord): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO scores (daemon, record) VALUES (?, ?)",
      record.daemon,
      JSON.stringify(record),
    );
  }
}

/** What others learn of a quarantine while it goes on. */
function tell(model: string, { daemon, quarantine }: DaemonRecord): void {
  if (quarantine === null) return;
  const { why, passed } = quarantine;
  emit("daemon_quarantined", { model, daemon, why, passed });
}

/** A daemon's standing as others are shown it; null for one that was never met. */
export function shownStanding(
  standings: Standings,
  daemon: DaemonId,
  { newcomerJobs }: Parameters,
): DaemonStanding | null {
  const record = standings.record(daemon);
  if (record === undefined) return null;
  const { score, speeds, quarantine, owner } = record;
  return {
    reliability: reliabilityOf(score),
    verified: score.verified,
    graduation: { verified: Math.min(standings.verifiedOf(owner), newcomerJobs), of: newcomerJobs },
    declined: declinedPart(score),
    flagged: score.flagged,
    decode: told(speeds.decode),
    prefill: told(speeds.prefill),
    quarantine: quarantine === null ? null : { ...quarantine, of: PROBE_PASSES },
  };
}
