/** The lanes as data (economics.md §3): every job takes the same path, only this row differs. */

import type { LotKind } from "./account/lots.ts";
import type { ParameterName } from "./parameters.ts";
import { type BasisPoints, basisPoints } from "./units.ts";

export const LANES = ["included", "dedicated", "private", "public", "league"] as const;
export type Lane = (typeof LANES)[number];

/** Who a share goes to. */
export const ROLES = ["provider", "network", "creator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** How a lane sets its price. */
export type PriceRule = "catalog" | "effective" | "network" | "ask" | "listed";

/**
 * `equal`: one like the other; `metered` besides lets the accounts that never paid share one place. `allotment`: its
 * allotment of the day. `slots`: the slots that its packages reserve.
 */
export type AccountWeight = "equal" | "metered" | "allotment" | "slots";

export interface LaneRow {
  readonly class: "private" | "open";
  readonly weight: ParameterName;
  /** What an account weighs among the others of the lane (economics.md §8). */
  readonly accounts: AccountWeight;
  readonly price: PriceRule;
  /** Kinds of lot that may pay, in the order in which they are drawn. */
  readonly funding: readonly LotKind[];
  readonly split: readonly { readonly role: Role; readonly share: BasisPoints }[];
  /** How long a job may wait for a slot. */
  readonly queueLimit: ParameterName;
}

const share = (role: Role, percent: number) => ({ role, share: basisPoints(percent * 100) });
const STANDARD = [share("provider", 95), share("network", 5)];
const OWN_CREDITS = ["bonus", "received", "earned", "topup"] as const;

export const LANE_TABLE: Readonly<Record<Lane, LaneRow>> = {
  included: {
    class: "open",
    weight: "laneWeightIncluded",
    accounts: "allotment",
    price: "catalog",
    funding: ["allotment"],
    split: STANDARD,
    queueLimit: "queueLimitMs",
  },
  dedicated: {
    class: "open",
    weight: "laneWeightDedicated",
    accounts: "slots",
    price: "effective",
    funding: ["allotment", "package"],
    split: STANDARD,
    queueLimit: "queueLimitMs",
  },
  private: {
    class: "private",
    weight: "classWeightPrivate",
    accounts: "equal",
    price: "network",
    funding: OWN_CREDITS,
    split: STANDARD,
    queueLimit: "queueLimitMs",
  },
  public: {
    class: "open",
    weight: "laneWeightPublic",
    accounts: "metered",
    price: "ask",
    funding: OWN_CREDITS,
    split: STANDARD,
    queueLimit: "queueLimitMs",
  },
  league: {
    class: "open",
    weight: "laneWeightLeague",
    accounts: "equal",
    price: "listed",
    funding: OWN_CREDITS,
    split: [share("provider", 85), share("creator", 5), share("admin", 5), share("network", 5)],
    queueLimit: "queueLimitMs",
  },
};

/** The sum of a lane's shares is the whole: 10,000 basis points. */
export const WHOLE = basisPoints(10_000);
