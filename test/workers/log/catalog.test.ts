import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { getModel, listModels, putModel } from "../../../db/catalog.ts";
import type { CatalogModel } from "../../../protocol/catalog.ts";

const model: CatalogModel = {
  id: "maker/eight",
  name: "Eight",
  parameters_in_millions: 8_000,
  quantization: "q4",
  context_length: 32_768,
  completion_default: 1_024,
  completion_max: 8_192,
  rates: null,
  prompt_bytes_per_token_hundredths: 200,
  prompt_tokens_per_message: 8,
  prompt_tokens_per_image: 0,
  min_bytes_per_token_hundredths: 100,
  lanes: ["public", "private"],
  created: 1_790_000_000_000,
};
const priced: CatalogModel = {
  ...model,
  id: "maker/priced",
  rates: { completion_nano_usd_per_1k: 90_000, prompt_nano_usd_per_1k: 1 },
};

it("gives models back as they were put, in order of id", async () => {
  await putModel(env.DB, priced);
  await putModel(env.DB, model);
  expect(await listModels(env.DB)).toEqual([model, priced]);
  expect(await getModel(env.DB, priced.id)).toEqual(priced);
  expect(await getModel(env.DB, "maker/none")).toBeNull();
});

it("replaces a model of the same id", async () => {
  await putModel(env.DB, priced);
  await putModel(env.DB, { ...priced, rates: null, name: "Another" });
  expect(await listModels(env.DB)).toEqual([{ ...priced, rates: null, name: "Another" }]);
});

it("refuses what is no model of the catalog", async () => {
  await expect(putModel(env.DB, { ...model, parameters_in_millions: 0 })).rejects.toThrow(/parameters_in_millions/);
  await expect(putModel(env.DB, { ...model, lanes: [] })).rejects.toThrow(/lanes/);
  expect(await listModels(env.DB)).toEqual([]);
});
