/** How a local chain is set up, and its bounds. */

/** A cluster's slot. */
export const SLOT_MS = 400;
/** The status cache reaches back so many rooted slots; older signatures are found in the history only. */
export const STATUS_SLOTS = 300;
const MAX_FINALIZED_AFTER = 200;

export interface ChainSettings {
  /** Blockhashes and the genesis hash follow from it. */
  readonly seed?: string;
  /** Slots by which `confirmed` is behind the tip. */
  readonly confirmedAfter?: number;
  /** Slots by which `finalized` is behind the tip. */
  readonly finalizedAfter?: number;
  /** Unix time at which it begins, in milliseconds. */
  readonly startMs?: number;
  /** By how much a slot moves the chain's time. */
  readonly slotMs?: number;
  /** Transactions that are remembered; those of the last few hundred slots always are. */
  readonly historyLimit?: number;
}

/** The settings with their defaults. Throws a RangeError where they contradict each other. */
export function resolveSettings(settings: ChainSettings): Required<ChainSettings> {
  const resolved = {
    seed: settings.seed ?? "tollmill",
    confirmedAfter: settings.confirmedAfter ?? 1,
    finalizedAfter: settings.finalizedAfter ?? 32,
    startMs: settings.startMs ?? Date.now(),
    slotMs: settings.slotMs ?? SLOT_MS,
    historyLimit: settings.historyLimit ?? 20_000,
  };
  const { confirmedAfter, finalizedAfter } = resolved;
  if (confirmedAfter < 0 || finalizedAfter < confirmedAfter || finalizedAfter > MAX_FINALIZED_AFTER) {
    throw new RangeError(`it must be 0 ≤ confirmedAfter ≤ finalizedAfter ≤ ${MAX_FINALIZED_AFTER}`);
  }
  return resolved;
}
