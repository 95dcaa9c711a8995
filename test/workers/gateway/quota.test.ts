import { expect, it } from "vitest";
import { addDaemon, balance, call, chat, openMarket, STARTER, withKey } from "../job/network.ts";

async function limitedKey(apiKey: string, perMinute: number): Promise<string> {
  const response = await call("/api/v1/keys", {
    method: "POST",
    body: JSON.stringify({ name: "limited", requests_per_minute: perMinute }),
    ...withKey(apiKey, { "content-type": "application/json" }),
  });
  expect(response.status).toBe(201);
  const { key, requests_per_minute: shown } = await response.json<{ key: string; requests_per_minute: number }>();
  expect(shown).toBe(perMinute);
  return key;
}

it("tells what is left of a key's quota, and refuses what is beyond it", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider);
  const key = await limitedKey(consumer.apiKey, 2);
  for (const left of [1, 0]) {
    const response = await chat(key);
    expect(response.status).toBe(200);
    expect(response.headers.get("ratelimit-policy")).toBe('"key";q=2;w=60');
    expect(response.headers.get("ratelimit")).toMatch(new RegExp(`^"key";r=${left};t=(60|59)$`));
  }
  const refused = await chat(key);
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject({ error: { code: "rate_limited", type: "rate_limit_error" } });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(50);
  expect(refused.headers.get("ratelimit")).toMatch(/^"key";r=0;/);
  // Another key of the account has a quota of its own, and a refused job costs nothing.
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - 3 * 320, held: 0 });
});

it("counts exactly under a burst", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { offer: { slots: 64 } });
  const key = await limitedKey(consumer.apiKey, 10);
  const statuses = await Promise.all(Array.from({ length: 40 }, async () => (await chat(key)).status));
  expect(statuses.filter((status) => status === 200)).toHaveLength(10);
  expect(statuses.filter((status) => status === 429)).toHaveLength(30);
});

it("takes nothing for a request that is repeated under its key", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider);
  const key = await limitedKey(consumer.apiKey, 5);
  const init = { headers: { "idempotency-key": "once" } };
  await chat(key, {}, init);
  const again = await chat(key, {}, init);
  expect(again.status).toBe(409);
  expect(again.headers.get("ratelimit")).toContain("r=4;");
});
