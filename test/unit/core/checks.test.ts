import { describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { OUTCOMES } from "../../../core/outcome.ts";
import { CLAIM_CHECKS, failedCheckOf, isByCheck, reversalReason, reversedBy } from "../../../core/receipt/checks.ts";
import { parseOperators } from "../../../workers/operators.ts";

describe("a failed check", () => {
  it("is what a receipt names, or its claim where it is only unverified", () => {
    for (const failed_check of CLAIM_CHECKS) {
      expect(failedCheckOf({ outcome: "unverified", failed_check })).toBe(failed_check);
      // The hold had run out meanwhile: the claim is as wrong.
      expect(failedCheckOf({ outcome: "expired", failed_check })).toBe(failed_check);
    }
    const told = OUTCOMES.map((outcome) => failedCheckOf({ outcome }));
    expect(told).toEqual(OUTCOMES.map((outcome) => (outcome === "unverified" ? "claim" : null)));
  });

  it("stands in a reversal as nobody who is an operator can", () => {
    for (const check of [...CLAIM_CHECKS, "claim"] as const) {
      expect(isByCheck([reversedBy(check)])).toBe(true);
      expect(reversedBy(check).length).toBeLessThanOrEqual(64);
      expect(reversalReason(check).length).toBeLessThanOrEqual(LIMITS.reasonCharacters);
      expect(() => parseOperators(`${reversedBy(check)}:key-of-nobody other:key-of-other`)).toThrow();
    }
    expect([isByCheck(["alice", "bob"]), isByCheck(["alice"]), isByCheck([])]).toEqual([false, false, false]);
  });
});
