/** The packages on offer (economics.md §10): usage that is paid for at once, with slots that are reserved for it. */

import { GENESIS_PARAMETERS } from "./parameters.ts";
import { DAY_MS } from "./time.ts";
import { type NanoUsd, nanoUsd } from "./units.ts";

export const PACKAGE_IDS = ["starter", "team", "scale"] as const;
export type PackageId = (typeof PACKAGE_IDS)[number];

export interface Package {
  readonly id: PackageId;
  readonly price: NanoUsd;
  /** The usage that it includes. It is the price: a lot that is backed by USDC has as much behind it. */
  readonly included: NanoUsd;
  /** Jobs that go ahead of all others at once; more may run, and queue with them. */
  readonly slots: number;
  /** What 95 of 100 of the jobs in its slots wait at most. */
  readonly queueP95Ms: number;
  readonly validMs: number;
}

const USD = 1_000_000_000;
const VALID_MS = 30 * DAY_MS;

function offer(id: PackageId, usd: number, slots: number): Package {
  const price = nanoUsd(usd * USD);
  return { id, price, included: price, slots, queueP95Ms: GENESIS_PARAMETERS.serviceLevelMs, validMs: VALID_MS };
}

export const PACKAGES: Readonly<Record<PackageId, Package>> = {
  starter: offer("starter", 50, 1),
  team: offer("team", 400, 10),
  scale: offer("scale", 3_000, 80),
};
