import { describe, expect, it } from "vitest";
import { refuse } from "../../../core/errors.ts";
import { errorEvent } from "../../../protocol/openai/stream.ts";

const head = { id: "chatcmpl-1", created: 1_796_000_000, model: "maker/eight" };
const refusal = refuse("queue_timeout");

describe("the end of a stream that failed", () => {
  it("is one chunk that says why, then [DONE]", () => {
    const [chunk = "", done, ...rest] = errorEvent({ ...head, choices: 1 }, refusal).split("\n\n");
    expect(JSON.parse(chunk.replace(/^data: /, ""))).toEqual({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta: {}, finish_reason: "error" }],
      error: { message: refusal.message, type: "server_error", param: null, code: "queue_timeout" },
    });
    expect([done, ...rest]).toEqual(["data: [DONE]", ""]);
  });

  it("ends every choice", () => {
    const [chunk = ""] = errorEvent({ ...head, choices: 3 }, refusal).split("\n\n");
    const { choices } = JSON.parse(chunk.replace(/^data: /, "")) as { choices: { index: number }[] };
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
  });
});
