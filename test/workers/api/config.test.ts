import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { DaemonId } from "../../../core/ids.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { modelOfScheduler, relayOf, schedulerName } from "../../../protocol/internal/names.ts";
import { authenticateAdmin } from "../../../workers/auth.ts";
import { ConfigError, configOf, readConfig } from "../../../workers/config.ts";
import { keyOf } from "../../support/receipts.ts";

it("reads what wrangler.toml and the secrets say, once", () => {
  const config = configOf(env);
  expect(config).toMatchObject({ network: "local", region: "local", shards: 2, parameters: GENESIS_PARAMETERS });
  expect(config.edgeKey).toHaveLength(32);
  expect(configOf(env)).toBe(config);
});

it.each([
  [{ TOLLMILL_NETWORK: "" }, /^TOLLMILL_NETWORK must be .* \[vars\]/],
  [{ TOLLMILL_REGION: "a/b" }, /^TOLLMILL_REGION must be .* \[vars\]/],
  [{ RELAY_SHARDS: "0" }, /^RELAY_SHARDS must be .* \[vars\]/],
  [{ RELAY_SHARDS: "2000" }, /^RELAY_SHARDS must be .* \[vars\]/],
  [{ EDGE_KEY: "zz" }, /secret EDGE_KEY must be .*wrangler secret put EDGE_KEY/],
  [{ ADMIN_KEY: "" }, /secret ADMIN_KEY must be .*wrangler secret put ADMIN_KEY/],
  [{ TOLLMILL_PARAMETERS: "{" }, /^TOLLMILL_PARAMETERS must be/],
  [{ TOLLMILL_PARAMETERS: '{"speed":1}' }, /TOLLMILL_PARAMETERS .* unknown parameter speed/],
])("names the variable that is wrong: %j", (change, message) => {
  const read = () => readConfig({ ...env, ...change });
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(message);
});

it("changes parameters for a private network", () => {
  const { parameters } = readConfig({ ...env, TOLLMILL_PARAMETERS: '{"minimumBalanceMillicredits":0}' });
  expect(parameters).toEqual({ ...GENESIS_PARAMETERS, minimumBalanceMillicredits: 0 });
});

it("reads the bearer scheme as HTTP has it", () => {
  const config = configOf(env);
  const code = (header: string | null) => {
    const answer = authenticateAdmin(header, config);
    return answer.ok ? "ok" : answer.refusal.code;
  };
  expect(code("Bearer test-admin-key")).toBe("ok");
  expect(code("bearer  test-admin-key ")).toBe("ok");
  for (const header of [null, "", "Bearer", "Bearer ", "Basic test-admin-key", "test-admin-key"]) {
    expect([header, code(header)]).toEqual([header, "missing_api_key"]);
  }
});

it("names schedulers so that the model can be read back, slash and all", () => {
  expect(schedulerName("eu", "maker/eight")).toBe("eu/maker/eight");
  expect(modelOfScheduler("eu/maker/eight")).toBe("maker/eight");
});

it("spreads daemons over the relays, always the same way", () => {
  const ids: DaemonId[] = Array.from({ length: 64 }, (_, i) => keyOf(`daemon ${i}`).id);
  const names = ids.map((id) => relayOf("eu", id, 4));
  expect(new Set(names)).toEqual(new Set(["eu/0", "eu/1", "eu/2", "eu/3"]));
  expect(ids.map((id) => relayOf("eu", id, 4))).toEqual(names);
});
