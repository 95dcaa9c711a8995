import { expect, it } from "vitest";
import { daemonKey } from "../../support/scripted-daemon.ts";
import { addDaemon, addModel, call, chat, openAccount, openMarket, withKey } from "./network.ts";

const why = async (apiKey: string, id: string, query = "") => {
  const response = await call(`/api/v1/daemons/${id}/why${query}`, withKey(apiKey));
  return { status: response.status, body: await response.json<Record<string, unknown>>() };
};

it("tells a daemon's account, and nobody else, why it got no jobs", async () => {
  const { consumer, provider } = await openMarket();
  const [{ id }, { id: other }] = [daemonKey(1), daemonKey(2)];
  await addDaemon(provider, { offer: { context: 64 } });
  const owner = await openAccount(false);
  await addDaemon(owner, { number: 2 });
  expect((await chat(consumer.apiKey, { max_tokens: 300 })).status).toBe(200);
  const pool = { model: "test-model", region: "local", since: expect.any(String), decisions: 1 };
  const tooSmall = { reason: "context", count: 1, over: null, meaning: expect.any(String), fix: expect.any(String) };
  expect(await why(provider.apiKey, id)).toEqual({
    status: 200,
    body: { daemon: id, offered: ["test-model"], pools: [{ ...pool, chosen: 0, passed_over: [tooSmall] }] },
  });
  expect((await why(owner.apiKey, other)).body).toMatchObject({ pools: [{ ...pool, chosen: 1, passed_over: [] }] });
  expect(await why(owner.apiKey, id)).toMatchObject({ status: 404, body: { code: "daemon_not_found" } });

  await addModel({ id: "other-model" });
  const unasked = { model: "other-model", decisions: 0, chosen: 0, passed_over: [] };
  expect((await why(provider.apiKey, id, "?model=other-model")).body).toMatchObject({ pools: [unasked] });
});

it("says by how much a daemon's power costs more than jobs pay", async () => {
  const { consumer, provider } = await openMarket();
  // 38 W at 50 tokens a second are within the rate, ten times as much is not.
  await addDaemon(provider, { watts: 1_500, offer: { tokens_per_second: 10 } });
  expect((await chat(consumer.apiKey)).status).toBe(503);
  const { body } = await why(provider.apiKey, daemonKey(1).id);
  const over = { least: expect.stringMatching(/^0\.\d{9}$/), most: expect.stringMatching(/^0\.\d{9}$/) };
  expect(body).toMatchObject({ pools: [{ chosen: 0, passed_over: [{ reason: "floor", over }] }] });
}, 20_000);
