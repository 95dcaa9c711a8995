import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { catalogOf, findModel } from "../../../workers/gateway/catalog.ts";
import { ADMIN, call } from "./support.ts";

const MODEL = {
  id: "maker/eight",
  name: "Eight",
  parameters_in_millions: 8_000,
  quantization: "q4",
  context_length: 8_192,
  completion_default: 1_000,
  completion_max: 4_096,
  rates: null,
  prompt_bytes_per_token_hundredths: 100,
  prompt_tokens_per_message: 8,
  prompt_tokens_per_image: 1_000,
  min_bytes_per_token_hundredths: 100,
  lanes: ["public"],
  created: 1_796_000_000_000,
};

beforeEach(async () => {
  await call("/api/v1/admin/models/maker%2Feight", { method: "PUT", key: ADMIN, body: MODEL });
});

it.each(["maker%2Feight", "maker/eight", "%6Daker/eight"])("finds a model as %s", async (id) => {
  const { status, json } = await call(`/v1/models/${id}`);
  expect([status, json.id]).toEqual([200, "maker/eight"]);
});

it.each(["none", "maker%252Feight", "%E0%A4%A", "%", "maker%2Feight%ff", "%00"])("does not find %s", async (id) => {
  const { status, json } = await call(`/v1/models/${id}`);
  expect([status, json.error.code]).toEqual([404, "model_not_found"]);
});

it("knows the models on while D1 is away, and reads them again when it is back", async () => {
  let away = false;
  const DB = new Proxy(env.DB, {
    get(target, name) {
      if (away) throw new Error("D1 is away");
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  const isolate = { ...env, DB };
  expect([...(await catalogOf(isolate, 0)).keys()]).toEqual(["maker/eight"]);
  away = true;
  expect(await findModel(isolate, "maker/eight", LIMITS.catalogCacheMs)).toMatchObject({ name: "Eight" });
  await expect(findModel(isolate, "none", LIMITS.catalogCacheMs)).rejects.toThrow("D1 is away");
  await expect(catalogOf({ ...env, DB }, 0)).rejects.toThrow("D1 is away");
  await call("/api/v1/admin/models/maker%2Feight", { method: "PUT", key: ADMIN, body: { ...MODEL, name: "Changed" } });
  away = false;
  expect(await findModel(isolate, "maker/eight", 3 * LIMITS.catalogCacheMs)).toMatchObject({ name: "Changed" });
});
