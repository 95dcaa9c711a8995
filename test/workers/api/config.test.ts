import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { DaemonId } from "../../../core/ids.ts";
import { GENESIS_PARAMETERS, withParameters } from "../../../core/parameters.ts";
import { modelOfScheduler, relayOf, schedulerName } from "../../../protocol/internal/names.ts";
import { authenticateAdmin } from "../../../workers/auth.ts";
import { ConfigError, configOf, readConfig } from "../../../workers/config.ts";
import { allRelays, nearestRegion, relaysOf } from "../../../workers/regions.ts";
import { CALM_MARKET } from "../../calm-market.ts";
import { keyOf } from "../../support/receipts.ts";

it("reads what wrangler.toml and the secrets say, once", () => {
  const config = configOf(env);
  expect(config).toMatchObject({
    network: "local",
    region: "local",
    shards: 2,
    parameters: withParameters(CALM_MARKET),
  });
  expect(config.edgeKey).toHaveLength(32);
  expect(configOf(env)).toBe(config);
});

it.each([
  [{ TOLLMILL_NETWORK: "" }, /^TOLLMILL_NETWORK must be .* \[vars\]/],
  [{ TOLLMILL_REGION: "a/b" }, /^TOLLMILL_REGION must be .* \[vars\]/],
  [{ OTHER_REGIONS: "weur" }, /^OTHER_REGIONS must be .* \[vars\]/],
  [{ OTHER_REGIONS: "weur=eu" }, /^OTHER_REGIONS must be .* \[vars\]/],
  [{ OTHER_REGIONS: "weur=EU weur=AF" }, /^OTHER_REGIONS must be .* each region once/],
  [{ OTHER_REGIONS: "local=EU" }, /^OTHER_REGIONS must be .* each region once/],
  [{ RELAY_SHARDS: "0" }, /^RELAY_SHARDS must be .* \[vars\]/],
  [{ RELAY_SHARDS: "2000" }, /^RELAY_SHARDS must be .* \[vars\]/],
  [{ EDGE_KEY: "zz" }, /secret EDGE_KEY must be .*wrangler secret put EDGE_KEY/],
  [{ ADMIN_KEY: "" }, /secret ADMIN_KEY must be .*wrangler secret put ADMIN_KEY/],
  [{ ADMIN_KEY: "seven-k" }, /secret ADMIN_KEY must be a key of 8 characters or more/],
  [{ ADMIN_KEY: "alice:key-of-alice key-of-bob" }, /secret ADMIN_KEY .*: entry 2 has no name/],
  [{ ADMIN_KEY: "alice:key-of-alice bob:short" }, /secret ADMIN_KEY .*: entry 2 has no name/],
  [{ ADMIN_KEY: "alice:key:of:alice" }, /secret ADMIN_KEY .*: entry 1 has no name/],
  [{ ADMIN_KEY: "alice:schlüssel" }, /secret ADMIN_KEY .*: entry 1 has no name .*ASCII/],
  [{ ADMIN_KEY: "Alice:key-of-alice" }, /secret ADMIN_KEY .*: entry 1 has no name/],
  [{ ADMIN_KEY: "alice:key-of-alice\nalice:key-of-bob" }, /secret ADMIN_KEY names the operator alice twice/],
  [{ ADMIN_KEY: "alice:one-and-same bob:one-and-same" }, /secret ADMIN_KEY gives alice and bob the same key/],
  [{ ADMIN_KEY: Array.from({ length: 33 }, (_, i) => `o${i}:key-number-${i}`).join("\n") }, /at most 32 operators/],
  [{ TOLLMILL_PARAMETERS: "{" }, /^TOLLMILL_PARAMETERS must be/],
  [{ TOLLMILL_PARAMETERS: '{"speed":1}' }, /TOLLMILL_PARAMETERS .* unknown parameter speed/],
])("names the variable that is wrong: %j", (change, message) => {
  const read = () => readConfig({ ...env, ...change });
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(message);
});

it("never repeats a key where it says what is wrong with it", () => {
  const broken = ["alice:secret-key bob:secret", "alice:secret-key alice:secret-kez", "a:secret-key b:secret-key"];
  for (const ADMIN_KEY of broken) {
    expect(() => readConfig({ ...env, ADMIN_KEY })).toThrow(/^(?!.*secret-k)The secret ADMIN_KEY/);
  }
});

it.each([
  ["EU", "weur"],
  ["AF", "weur"],
  ["OC", "apac"],
  ["NA", "local"],
  [undefined, "local"],
] as const)("serves a caller from %s in %s", (continent, region) => {
  const config = readConfig({ ...env, OTHER_REGIONS: "weur=EU,AF apac=AS,OC" });
  const caller = continent === undefined ? {} : { cf: { continent } as IncomingRequestCfProperties };
  expect(nearestRegion(config, caller)).toBe(region);
  expect(config.regions.map(({ name }) => name)).toEqual(["local", "weur", "apac"]);
});

it("knows every relay that a daemon may be connected to, and all there are", () => {
  const config = readConfig({ ...env, OTHER_REGIONS: "weur=EU" });
  const { id } = keyOf("attic");
  expect(relaysOf(config, id)).toEqual([relayOf("local", id, 2), relayOf("weur", id, 2)]);
  expect(allRelays(config)).toEqual(["local/0", "local/1", "weur/0", "weur/1"]);
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
  expect(authenticateAdmin("Bearer test-admin-key", config)).toEqual({ ok: true, value: "admin" });
  expect(code("bearer  test-admin-key ")).toBe("ok");
  for (const header of [null, "", "Bearer", "Bearer ", "Basic test-admin-key", "test-admin-key"]) {
    expect([header, code(header)]).toEqual([header, "missing_api_key"]);
  }
});

it("knows operators by their keys, one or many", () => {
  const operatorOf = (ADMIN_KEY: string, token: string) => {
    const answer = authenticateAdmin(`Bearer ${token}`, readConfig({ ...env, ADMIN_KEY }));
    return answer.ok ? answer.value : answer.refusal.code;
  };
  const many = " alice:key-of-alice\r\n\nbob:key-of-bob carol-2:key-of-carol\n";
  expect(operatorOf(many, "key-of-alice")).toBe("alice");
  expect(operatorOf(many, "key-of-bob")).toBe("bob");
  expect(operatorOf(many, "key-of-carol")).toBe("carol-2");
  expect(operatorOf("bob:key-of-bob", "key-of-bob")).toBe("bob");
  for (const token of ["key-of-ali", "alice:key-of-alice", "key-of-bobb", "alice"]) {
    expect([token, operatorOf(many, token)]).toEqual([token, "invalid_api_key"]);
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
