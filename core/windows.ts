/** Settlement windows (economics.md §11): six hours of UTC each, closing at 00, 06, 12 and 18 o'clock. */

/** Unix time has no leap seconds and its days start at 00:00 UTC, so every multiple of this is a close. */
export const WINDOW_MS = 6 * 3_600_000;

/**
 * The first window that is not settled at a time. A window is settled from its close on; what says so is this function
 * alone, so that whatever takes receipts back and whatever closes windows agree.
 */
export function firstUnsettledWindow(now: number): number {
  return (Math.floor(now / WINDOW_MS) + 1) * WINDOW_MS;
}

/**
 * The window that a receipt joins when it is appended: the first close at least `settlementDelayMs` ◆ later. A window is
 * named by its close, in milliseconds since 1970. Throws a RangeError for a time or delay that is no whole number ≥ 0.
 */
export function windowOf(appendedAt: number, settlementDelayMs: number): number {
  const earliest = appendedAt + settlementDelayMs;
  if (!Number.isSafeInteger(earliest) || appendedAt < 0 || settlementDelayMs < 0) {
    throw new RangeError(`no time to settle after: ${appendedAt} + ${settlementDelayMs}`);
  }
  return Math.ceil(earliest / WINDOW_MS) * WINDOW_MS;
}
