/** How many jobs one key may begin in a minute: a fixed window, counted where the holds are, so that it is exact. */

/** The window that a key's jobs are counted in. */
export interface QuotaWindow {
  readonly startedAt: number;
  readonly used: number;
}

/** What the RateLimit headers say of a key. */
export interface Quota {
  readonly limit: number;
  readonly remaining: number;
  /** Whole seconds until the window ends, at least 1. */
  readonly resetSeconds: number;
}

export const QUOTA_WINDOW_MS = 60_000;

/** What is left of a key's window, without taking anything. */
export function quotaOf(before: QuotaWindow | undefined, limit: number, now: number): Quota {
  const { startedAt, used } = windowAt(before, now);
  const resetSeconds = Math.max(1, Math.ceil((startedAt + QUOTA_WINDOW_MS - now) / 1_000));
  return { limit, remaining: Math.max(0, limit - used), resetSeconds };
}

/** Takes one job from a key's window, or says that none is left. A window begins with its first job. */
export function takeJob(
  before: QuotaWindow | undefined,
  limit: number,
  now: number,
): { readonly ok: boolean; readonly window: QuotaWindow; readonly quota: Quota } {
  const { startedAt, used } = windowAt(before, now);
  const ok = used < limit;
  const window = { startedAt, used: ok ? used + 1 : used };
  return { ok, window, quota: quotaOf(window, limit, now) };
}

function windowAt(before: QuotaWindow | undefined, now: number): QuotaWindow {
  const running = before !== undefined && now >= before.startedAt && now < before.startedAt + QUOTA_WINDOW_MS;
  return running ? before : { startedAt: now, used: 0 };
}
