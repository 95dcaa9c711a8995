import { array, assert, integer, nat, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { QUOTA_WINDOW_MS, type QuotaWindow, quotaOf, takeJob } from "../../../core/account/quota.ts";

describe("a key's quota", () => {
  it("gives as many jobs as it says, and then none until its minute is over", () => {
    let window: QuotaWindow | undefined;
    for (const remaining of [2, 1, 0]) {
      const taken = takeJob(window, 3, 1_000);
      expect(taken).toMatchObject({ ok: true, quota: { limit: 3, remaining, resetSeconds: 60 } });
      window = taken.window;
    }
    expect(takeJob(window, 3, 30_500)).toMatchObject({ ok: false, quota: { remaining: 0, resetSeconds: 31 } });
    expect(takeJob(window, 3, 1_000 + QUOTA_WINDOW_MS)).toMatchObject({ ok: true, quota: { remaining: 2 } });
  });

  it("takes nothing where it is only asked", () => {
    const { window } = takeJob(undefined, 3, 0);
    expect(quotaOf(window, 3, 0).remaining).toBe(2);
    expect(quotaOf(window, 3, 0).remaining).toBe(2);
  });

  it("never lets more than its limit through in one window, whatever the times", () =>
    assert(
      property(integer({ min: 1, max: 20 }), array(nat(3_000), { maxLength: 100 }), (limit, steps) => {
        let window: QuotaWindow | undefined;
        let now = 0;
        const begun = new Map<number, number>();
        for (const step of steps) {
          now += step;
          const taken = takeJob(window, limit, now);
          window = taken.window;
          if (taken.ok) begun.set(window.startedAt, (begun.get(window.startedAt) ?? 0) + 1);
        }
        return [...begun.values()].every((count) => count <= limit);
      }),
    ));
});
