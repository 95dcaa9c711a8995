import { beforeEach, expect, it } from "vitest";
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
