import { describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode, refuse } from "../../../core/errors.ts";
import { statusOf, toOpenAiError, toProblem } from "../../../protocol/errors.ts";

const codes = Object.keys(ERRORS) as ErrorCode[];

describe("an error on the wire", () => {
  it.each(codes)("%s has one status in both dialects and says what to do in both", (code) => {
    const refusal = refuse(code);
    expect(toProblem(refusal).status).toBe(statusOf(refusal));
    expect(toProblem(refusal).detail).toContain(ERRORS[code].fix);
    expect(toOpenAiError(refusal).error).toEqual({
      message: refusal.message,
      type: ERRORS[code].type,
      param: null,
      code,
    });
  });

  it("carries the parameter and the metadata", () => {
    const refusal = refuse("insufficient_credits", {
      detail: "Too little.",
      param: "n",
      metadata: { shortfall: "1.000" },
    });
    expect(toOpenAiError(refusal).error).toMatchObject({ param: "n", metadata: { shortfall: "1.000" } });
    expect(toProblem(refusal)).toEqual({
      type: "/docs/errors#insufficient_credits",
      title: ERRORS.insufficient_credits.title,
      status: 402,
      detail: `Too little. ${ERRORS.insufficient_credits.fix}`,
      code: "insufficient_credits",
      param: "n",
      metadata: { shortfall: "1.000" },
    });
  });
});
