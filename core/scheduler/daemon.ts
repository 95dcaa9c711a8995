/** A daemon as a pool sees it. */

import type { AccountId, DaemonId, JobId, NetworkId } from "../ids.ts";
import type { ElectricityFloor, Quantization } from "../pricing.ts";
import type { Standing } from "../routing/standing.ts";
import type { BasisPoints } from "../units.ts";

/** What a daemon offers to one pool. */
export interface DaemonOffer {
  readonly daemon: DaemonId;
  readonly relay: string;
  /** The account that it earns for. */
  readonly provider: AccountId;
  readonly quantization: Quantization;
  readonly slots: number;
  /** The jobs that it serves at once over all its models, and those that it has for other pools now. */
  readonly sharedSlots: number;
  readonly elsewhere: number;
  readonly context: number;
  readonly features: readonly string[];
  readonly tokensPerSecond: number;
  readonly floor: ElectricityFloor;
  /** The margin over its floor that it asks in auctions, if it has set one. */
  readonly margin: BasisPoints | null;
  readonly accepts: "usdc" | "any";
  /** The private networks that it serves besides the open lanes: of those that it named, the ones its account is in. */
  readonly networks: readonly NetworkId[];
  /** Whether the model is in memory; one that is not is loaded by its first job. */
  readonly loaded: boolean;
  readonly draining: boolean;
}

export interface Daemon extends DaemonOffer {
  elsewhere: number;
  /** What it has shown of itself; changes while it serves. */
  standing: Standing;
  /** What it pays for power, by the speeds that are measured once there are some. */
  floor: ElectricityFloor;
  readonly running: Set<JobId>;
  /** When its last job ended, or when it came; milliseconds since 1970. */
  idleSince: number;
}

/** What bounds the jobs that a daemon can take. */
export type Room = Pick<Daemon, "slots" | "sharedSlots" | "elsewhere"> & {
  readonly running: { readonly size: number };
};

/** The jobs that a daemon can take beside those that it has. */
export function roomOf({ slots, sharedSlots, elsewhere, running }: Room): number {
  return Math.max(0, Math.min(slots, sharedSlots - elsewhere) - running.size);
}
