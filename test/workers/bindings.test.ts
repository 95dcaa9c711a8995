import { env, exports } from "cloudflare:workers";
import { expect, it } from "vitest";
import { testSecrets } from "../secrets.ts";

it("answers a request inside workerd", async () => {
  const response = await exports.default.fetch("https://tollmill.test/");
  expect(response.status).toBeLessThan(500);
});

it("has every secret that wrangler.toml names", () => {
  expect(env).toMatchObject(testSecrets);
});

it("gives each account an object of its own", () => {
  expect(env.ACCOUNT.idFromName("a").equals(env.ACCOUNT.idFromName("b"))).toBe(false);
});
