/** What relays and a `Scheduler` object say to each other over RPC. One scheduler serves one pool: a region and a model. */

import type { Prices } from "../../core/auction/market.ts";
import type { AccountId, DaemonId, JobId } from "../../core/ids.ts";
import type { Tokens } from "../../core/pricing.ts";
import type { Effect } from "../../core/routing/ending.ts";
import type { ProbeResult, QuarantineReason } from "../../core/routing/quarantine.ts";
import type { SpeedSample } from "../../core/routing/speed.ts";
import type { DaemonOffer } from "../../core/scheduler/daemon.ts";
import type { Why } from "../../core/scheduler/passed-over.ts";
import type { RunningLease } from "../../core/scheduler/pool.ts";
import type { LaneFigures } from "../../core/scheduler/served.ts";
import type { BasisPoints, NanoUsd } from "../../core/units.ts";
import type { Notice, OfferedModel, Thermal } from "../daemon/messages.ts";

/** A daemon as it is registered with one pool. */
export type Registration = DaemonOffer;

/** A job that a relay runs. */
export type RunningJob = RunningLease;

/**
 * What a relay tells a scheduler, in digests: that a job runs, that it ended, or how many jobs a daemon has for other pools.
 * `busy`: the daemon did not hear of the job, as it had no slot left beside what it has for other pools, or as its account has
 * left the job's private network.
 * `lost`: another attempt beside it was faster.
 */
export type JobReport =
  | ({ readonly type: "running" } & RunningJob)
  | {
      readonly type: "ended";
      readonly job: JobId;
      readonly fence: number;
      readonly result: "served" | "cancelled" | "declined" | "failed" | "busy" | "lost";
      /** What was really used, to correct the estimate; null when nothing was. */
      readonly tokens: Tokens | null;
      /** What it does to the daemon's score, and how fast the daemon was, where that can be told. */
      readonly effect: Effect;
      readonly speed: SpeedSample | null;
    }
  | { readonly type: "elsewhere"; readonly daemon: DaemonId; readonly jobs: number };

export interface Supply {
  readonly daemons: number;
  readonly slots: number;
  readonly free: number;
  readonly waiting: number;
  /** Tokens per second of all slots together. */
  readonly tokensPerSecond: number;
  /** The lowest ask of the public lane, and the lowest floor times the market's margin; nanoUSD for 1,000 completion tokens. */
  readonly lowestAsk: NanoUsd | null;
  readonly leastAsk: NanoUsd | null;
  /** Features that at least one daemon has. */
  readonly features: readonly string[];
}

/** What a pool shows of itself: queues, service of late and asks. */
export interface PoolMarket {
  readonly daemons: number;
  readonly slots: number;
  readonly free: number;
  readonly lanes: readonly LaneFigures[];
  readonly asks: Prices;
  /** Null without slots. */
  readonly demand: BasisPoints | null;
}

/** Where a job is in its pool. */
export type PoolJob =
  | { readonly type: "queued"; readonly position: number; readonly etaMs: number | null }
  | { readonly type: "running"; readonly daemon: DaemonId; readonly fence: number }
  | { readonly type: "unknown" };

/** A daemon's standing in one pool, to be shown. */
export interface DaemonStanding {
  /** From 0 to 1 (economics.md §9). */
  readonly reliability: number;
  /** Its verified jobs here, and those of all its owner's daemons, which a newcomer graduates by. */
  readonly verified: number;
  readonly graduation: { readonly verified: number; readonly of: number };
  /** Its declines of late as a part of what it was offered. */
  readonly declined: number;
  readonly flagged: number;
  /** Measured tokens a second; null while too few jobs tell. */
  readonly decode: number | null;
  readonly prefill: number | null;
  readonly quarantine: {
    readonly why: QuarantineReason;
    /** Milliseconds since 1970. */
    readonly since: number;
    /** The probe that follows is not before this; it comes while the daemon is connected. */
    readonly probeAt: number;
    readonly passed: number;
    readonly of: number;
  } | null;
}

/** The RPC methods of a `Scheduler` object; `acquire` is its fetch. */
export interface SchedulerRpc {
  /** `running` are the jobs that the relay has for this daemon: others that it was given are lost. */
  register(registration: Registration, running: readonly JobId[]): Promise<void>;
  unregister(daemon: DaemonId, relay: string): Promise<void>;
  report(relay: string, reports: readonly JobReport[]): Promise<void>;
  supply(): Promise<Supply>;
  market(): Promise<PoolMarket>;
  job(job: JobId): Promise<PoolJob>;
  /** Why a daemon was given no jobs of late, by decisions that were looked into. */
  why(daemon: DaemonId): Promise<Why>;
  /** Gives a waiting job back to its gateway, which asks another region: its hold stays. False when it does not wait. */
  release(job: JobId): Promise<boolean>;
  /** Takes a job out of the queue, or tells its relay to stop it. */
  cancel(job: JobId): Promise<boolean>;
  /** Whether an attempt is the one that counts: false when a later one was granted, or another one runs beside it. */
  isCurrent(job: JobId, fence: number): Promise<boolean>;
  /** What the pool knows of a daemon; null where it has never served here. */
  daemonStanding(daemon: DaemonId): Promise<DaemonStanding | null>;
  /**
   * Asked by an attempt of a race before it shows anything or ends its job's hold (docs/decisions/0059). The first that
   * asks has won, and whoever asks again is told the same; the others are stopped. `race` is the fence that the race began with.
   */
  win(job: JobId, fence: number, race: number): Promise<boolean>;
}

/** What a relay has of a pool: for a scheduler that starts again. */
export interface Roster {
  readonly registrations: readonly Registration[];
  readonly running: readonly RunningJob[];
}

/** To whom a message of an operator goes. */
export type Audience =
  | { readonly type: "daemon"; readonly daemon: DaemonId }
  | { readonly type: "account"; readonly account: AccountId }
  | { readonly type: "all" };

/** A daemon that is connected, as its relay has it. */
export interface ConnectedDaemon {
  readonly daemon: DaemonId;
  /** Who has it end: its account, or the daemon itself. */
  readonly drainingBy: readonly ("account" | "daemon")[];
  readonly withdrawnBy: readonly string[];
  readonly schedule: string | null;
  readonly onAcPower: boolean | null;
  readonly thermal: Thermal | null;
  /** Jobs that it runs, also of models that it does not offer any more. */
  readonly running: number;
  readonly models: readonly (Omit<OfferedModel, "features"> & { readonly running: number })[];
}

/** A probe as a scheduler asks for it. */
export interface ProbeOrder {
  readonly job: JobId;
  readonly fence: number;
  readonly daemon: DaemonId;
  readonly model: string;
}

/** The RPC methods of a `Relay` object; its fetch takes jobs and daemons' sockets. */
export interface RelayRpc {
  roster(model: string): Promise<Roster>;
  cancel(job: JobId): Promise<boolean>;
  /** Gives a daemon a job whose answer is known, as if it were a user's. Says what its answer showed. */
  probe(probe: ProbeOrder): Promise<ProbeResult>;
  /**
   * Whether an attempt has still shown nothing. Then another one may begin beside it, and from now on it asks
   * `scheduler.win` before it shows anything.
   */
  contest(job: JobId, fence: number): Promise<boolean>;
  /** Another attempt has won: this one is stopped and costs nothing. */
  lose(job: JobId, fence: number): Promise<void>;
  /** Of these daemons the ones that are connected to this relay. */
  connected(daemons: readonly DaemonId[]): Promise<ConnectedDaemon[]>;
  /** D1 says something new of a daemon: whether its account has drained it. The relay reads it and tells daemon and pools. */
  refresh(daemon: DaemonId): Promise<void>;
  /** Tells daemons that are connected what an operator has to say, and answers how many were told. */
  tell(notice: Notice, to: Audience): Promise<number>;
  /** An account has joined or left a private network: what its daemons here may serve is read again. */
  membershipsChanged(account: AccountId): Promise<void>;
}
