import { expect, it } from "vitest";
import { addDaemon, addModel, balance, chat, eventsOf, openAccount } from "./network.ts";

it("carries one job from the client to a daemon and back, and charges what its receipt says", async () => {
  await addModel();
  const [consumer, provider] = [await openAccount(), await openAccount()];
  const daemon = await addDaemon(provider);
  const before = await balance(consumer.apiKey);

  const response = await chat(consumer.apiKey);
  expect(response.status).toBe(200);
  const body = await response.json<{ choices: { message: { content: string } }[]; usage: { cost: string } }>();
  expect(body.choices[0]?.message.content).toBe("Hello there");
  // 2 completion tokens at 80 credits and 8 prompt tokens at 20 credits for 1,000.
  expect(body.usage.cost).toBe("0.320");
  const settled = await daemon.next("settled");
  expect(settled.job).toBe(response.headers.get("x-job-id"));
  const after = await balance(consumer.apiKey);
  expect(before.available - after.available).toBe(320);
  expect(after.held).toBe(0);
});

it("streams, chunk for frame, and ends with usage", async () => {
  await addModel();
  const [consumer, provider] = [await openAccount(), await openAccount()];
  await addDaemon(provider);
  const response = await chat(consumer.apiKey, { stream: true, stream_options: { include_usage: true } });
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const events = eventsOf(await response.text());
  expect(events.at(-1)).toBe("[DONE]");
  const chunks = events
    .slice(0, -1)
    .map((event) => JSON.parse(event) as { choices: { delta: { content?: string } }[]; usage?: object });
  expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")).toBe("Hello there");
  expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 2, cost: "0.320", lane: "public" });
});
