import { describe, expect, it } from "vitest";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { perThousand, priceAtRate } from "../../../core/pricing.ts";
import { type CatalogModel, catalogModel, rateOf } from "../../../protocol/catalog.ts";

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
  lanes: ["public"],
  created: 0,
};

describe("a model of the catalog", () => {
  it.each([
    [{}, true],
    [{ id: "eight" }, true],
    [{ id: "Maker/Eight" }, false],
    [{ id: "a/b/c" }, false],
    [{ id: "../eight" }, false],
    [{ id: "" }, false],
    [{ parameters_in_millions: 0.5 }, false],
    [{ quantization: "q5" }, false],
    [{ rates: { completion_nano_usd_per_1k: -1, prompt_nano_usd_per_1k: 0 } }, false],
    [{ rates: { completion_nano_usd_per_1k: 1 } }, false],
    [{ min_bytes_per_token_hundredths: 0 }, false],
    [{ lanes: [] }, false],
    [{ lanes: ["fast"] }, false],
    [{ extra: 1 }, false],
  ])("with %j: %s", (change, ok) => {
    expect(catalogModel.safeParse({ ...model, ...change }).success).toBe(ok);
  });

  it("costs what the formula says unless it has rates of its own", () => {
    expect(perThousand(rateOf(model, GENESIS_PARAMETERS))).toBe(80_000);
    const own = { ...model, rates: { completion_nano_usd_per_1k: 5_000, prompt_nano_usd_per_1k: 1_000 } };
    expect(priceAtRate(rateOf(own, GENESIS_PARAMETERS), { prompt: 1_000, completion: 1_000 })).toBe(6_000);
  });
});
