import type { CatalogModel } from "../../protocol/catalog.ts";

/** A model whose prices are easy to follow: 80 credits for 1,000 completion tokens, 20 for 1,000 prompt tokens. */
export function testModel(changes: Partial<CatalogModel> = {}): CatalogModel {
  return {
    id: "test-model",
    name: "Test model",
    parameters_in_millions: 8_000,
    quantization: "q8",
    context_length: 4_096,
    completion_default: 256,
    completion_max: 2_048,
    rates: { completion_nano_usd_per_1k: 80_000, prompt_nano_usd_per_1k: 20_000 },
    prompt_bytes_per_token_hundredths: 100,
    prompt_tokens_per_message: 4,
    prompt_tokens_per_image: 500,
    min_bytes_per_token_hundredths: 100,
    lanes: ["public"],
    created: 1_790_000_000_000,
    ...changes,
  };
}
