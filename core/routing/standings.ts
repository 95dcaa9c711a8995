/** What a pool knows of its daemons: their scores, speeds and quarantines, and the newcomers among their owners. */

import type { AccountId, DaemonId } from "../ids.ts";
import type { Parameters } from "../parameters.ts";
import type { ElectricityFloor } from "../pricing.ts";
import type { Random } from "../random.ts";
import type { Effect } from "./ending.ts";
import { type ProbeResult, postponed, probed, type Quarantine, quarantined } from "./quarantine.ts";
import { declineFactor, isUnreliable, NEW_SCORE, releasedScore, reliabilityOf, type Score, scored } from "./score.ts";
import { measured, measuredFloor, type SpeedSample, type Speeds, told, UNMEASURED } from "./speed.ts";
import type { Standing } from "./standing.ts";

/** What is kept of a daemon. */
export interface DaemonRecord {
  readonly daemon: DaemonId;
  readonly owner: AccountId;
  readonly score: Score;
  readonly speeds: Speeds;
  readonly quarantine: Quarantine | null;
}

/** What a daemon declares, as far as it may be measured. */
export interface Declared {
  readonly tokensPerSecond: number;
  readonly floor: ElectricityFloor;
}

export class Standings {
  readonly #parameters: Parameters;
  readonly #random: Random;
  readonly #records = new Map<DaemonId, DaemonRecord>();
  /** Verified jobs of every owner's daemons together. */
  readonly #verified = new Map<AccountId, number>();
  readonly #changed = new Set<DaemonId>();
  #isUrgent = false;
  readonly #quarantined = new Map<DaemonId, Quarantine>();

  constructor(parameters: Parameters, records: Iterable<DaemonRecord>, random: Random) {
    this.#parameters = parameters;
    this.#random = random;
    for (const record of records) this.#put(record);
  }

  /** Notes whose a daemon is, before anything is known of how it serves. */
  meet(daemon: DaemonId, owner: AccountId): void {
    if (this.#records.has(daemon)) return;
    this.#put({ daemon, owner, score: NEW_SCORE, speeds: UNMEASURED, quarantine: null });
  }

  record(daemon: DaemonId): DaemonRecord | undefined {
    return this.#records.get(daemon);
  }

  /** Verified jobs of an owner's daemons: what newcomers graduate by. */
  verifiedOf(owner: AccountId): number {
    return this.#verified.get(owner) ?? 0;
  }

  /** A daemon's standing in draws, with what it declares where too little is measured. */
  standing(daemon: DaemonId, { tokensPerSecond }: Pick<Declared, "tokensPerSecond">): Standing {
    const { owner, score, speeds, quarantine } = this.#known(daemon);
    const reliability = reliabilityOf(score);
    return {
      reliability,
      quality: reliability ** 2 * declineFactor(score, this.#parameters),
      tokensPerSecond: told(speeds.decode) ?? tokensPerSecond,
      newcomer: this.verifiedOf(owner) < this.#parameters.newcomerJobs,
      quarantined: quarantine !== null,
    };
  }

  /** What a daemon's power costs, by the speeds that are measured. */
  floor(daemon: DaemonId, { floor }: Pick<Declared, "floor">): ElectricityFloor {
    return measuredFloor(floor, this.#known(daemon).speeds);
  }

  /** A job ended. In quarantine only probes count, and another failed verification: what its last jobs bring is too late. */
  ended(daemon: DaemonId, effect: Effect, speed: SpeedSample | null, now: number): void {
    const before = this.#known(daemon);
    if (before.quarantine !== null && effect !== "failed_verification") return;
    const score = scored(before.score, effect, this.#parameters);
    const speeds = effect === "up" && speed !== null ? measured(before.speeds, speed) : before.speeds;
    const why = effect === "failed_verification" ? effect : isUnreliable(score, this.#parameters) ? "unreliable" : null;
    const quarantine = why === null ? null : quarantined(why, before.quarantine, now, this.#random());
    this.#change({ ...before, score, speeds, quarantine });
  }

  /** A probe of a daemon in quarantine has shown something. */
  probed(daemon: DaemonId, result: ProbeResult, now: number): void {
    const before = this.#known(daemon);
    if (before.quarantine === null) return;
    const quarantine = probed(before.quarantine, result, now, this.#random());
    const score = result === "failed_verification" ? scored(before.score, result, this.#parameters) : before.score;
    this.#change({ ...before, score: quarantine === null ? releasedScore(score) : score, quarantine });
  }

  /** A daemon comes that was away: a probe that was due meanwhile has another time. */
  returned(daemon: DaemonId, now: number): void {
    const before = this.#records.get(daemon);
    if (before === undefined || before.quarantine === null) return;
    const quarantine = postponed(before.quarantine, now, this.#random());
    if (quarantine !== before.quarantine) this.#change({ ...before, quarantine });
  }

  /** Daemons in quarantine, each with the time before which it is not probed. */
  probes(): { readonly daemon: DaemonId; readonly probeAt: number }[] {
    return [...this.#quarantined].map(([daemon, { probeAt }]) => ({ daemon, probeAt }));
  }

  /** Whether anything has changed since it was last taken. */
  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  /** Whether that is something which nobody may lose: a quarantine. */
  get isUrgent(): boolean {
    return this.#isUrgent;
  }

  /** What has changed since it was last taken. */
  takeChanged(): DaemonRecord[] {
    const changed = [...this.#changed].map((daemon) => this.#known(daemon));
    this.#changed.clear();
    this.#isUrgent = false;
    return changed;
  }

  #known(daemon: DaemonId): DaemonRecord {
    const record = this.#records.get(daemon);
    if (record === undefined) throw new Error(`daemon ${daemon} was never met`);
    return record;
  }

  #change(record: DaemonRecord): void {
    if (record.quarantine !== this.#known(record.daemon).quarantine) this.#isUrgent = true;
    this.#put(record);
    this.#changed.add(record.daemon);
  }

  #put(record: DaemonRecord): void {
    const { daemon, owner, score, quarantine } = record;
    const more = score.verified - (this.#records.get(daemon)?.score.verified ?? 0);
    this.#verified.set(owner, this.verifiedOf(owner) + more);
    this.#records.set(daemon, record);
    if (quarantine === null) this.#quarantined.delete(daemon);
    else this.#quarantined.set(daemon, quarantine);
  }
}
