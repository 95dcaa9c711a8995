import { describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode, isErrorCode, refuse } from "../../../core/errors.ts";

const codes = Object.entries(ERRORS);
/** What each type may answer with, so that clients which look at either see the same thing. */
const STATUSES: Record<string, number[]> = {
  invalid_request_error: [400, 405, 413, 415, 422, 426],
  authentication_error: [401],
  permission_error: [403],
  not_found_error: [404],
  insufficient_quota: [402],
  rate_limit_error: [429],
  conflict_error: [409],
  server_error: [500, 502, 503, 504],
};

describe("the table of errors", () => {
  it.each(codes)("%s says in whole sentences what is wrong and what to do", (code, { title, fix }) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(title).toMatch(/^[A-Z].*\.$/);
    expect(fix).toMatch(/^(?:[A-Z]|`).{10,}[.`]$/);
    expect(fix).not.toBe(title);
  });

  it.each(codes)("%s has a status that fits its type", (_, { status, type }) => {
    expect(STATUSES[type]).toContain(status);
  });

  it("knows its codes and nothing that objects have anyway", () => {
    expect(codes.every(([code]) => isErrorCode(code))).toBe(true);
    expect(["toString", "__proto__", "", "unknown"].some(isErrorCode)).toBe(false);
  });
});

describe("a refusal", () => {
  it("says the title and the fix unless something more exact is known", () => {
    const code: ErrorCode = "model_not_found";
    expect(refuse(code)).toEqual({ code, message: `${ERRORS[code].title} ${ERRORS[code].fix}` });
    const exact = refuse(code, { detail: "There is no model x.", param: "model", metadata: { x: 1 } });
    expect(exact).toEqual({
      code,
      message: `There is no model x. ${ERRORS[code].fix}`,
      param: "model",
      metadata: { x: 1 },
    });
  });
});
