/** What the operator of a new network does over its API: fill the catalog, open accounts. Safe to repeat. */

import { z } from "zod";
import { type CatalogModel, catalogModel } from "../../protocol/catalog.ts";

/** A model as `tollmill engines --json` shows it. */
export const engineModel = z.object({
  engine: z.string(),
  id: z.string(),
  quantization: z.enum(["q4", "q8", "fp16"]).nullable(),
  context: z.number().nullable(),
});
export type EngineModel = z.infer<typeof engineModel>;

export const TOY = "tiny-miller";

/** The toy is priced like Qwen3-8B at q4, so that a first receipt shows amounts worth reading. */
const TOY_RATES = { completion_nano_usd_per_1k: 80_000, prompt_nano_usd_per_1k: 20_000 };

const DEFAULT_CONTEXT = 4_096;
const DEFAULT_MILLIONS = 8_000;

/** A catalog entry for a model of the local engine. Its size is read off its name; the formula prices it. */
export function catalogEntry({ id, quantization, context }: EngineModel): CatalogModel {
  const length = context ?? DEFAULT_CONTEXT;
  const toy = id === TOY;
  return catalogModel.parse({
    id,
    name: toy ? "tiny-miller (a toy)" : id,
    parameters_in_millions: toy ? 2 : millionsIn(id),
    quantization: quantization ?? "fp16",
    context_length: length,
    completion_default: Math.min(1_024, Math.floor(length / 2)),
    completion_max: length,
    rates: toy ? TOY_RATES : null,
    // No tokenizer makes more tokens than bytes; what is billed is never more than the daemon counted.
    prompt_bytes_per_token_hundredths: 100,
    prompt_tokens_per_message: 8,
    prompt_tokens_per_image: 1_024,
    min_bytes_per_token_hundredths: 50,
    lanes: ["included", "public"],
    created: Date.UTC(2026, 10, 22),
  });
}

/** `llama-3.1-8b-instruct` → 8,000; `qwen2.5-0.5b` → 500. */
function millionsIn(id: string): number {
  const billions = /(?:^|[^a-z0-9.])(\d+(?:\.\d+)?)b(?![a-z])/.exec(id)?.[1];
  return billions === undefined ? DEFAULT_MILLIONS : Math.max(1, Math.round(Number(billions) * 1_000));
}

const opened = z.object({ account: z.string(), api_key: z.string().nullable(), notice: z.string().nullable() });

export class Operator {
  readonly #url: string;
  readonly #adminKey: string;

  constructor(url: string, adminKey: string) {
    this.#url = url;
    this.#adminKey = adminKey;
  }

  async putModel(model: CatalogModel): Promise<void> {
    await this.#call("PUT", `/admin/models/${encodeURIComponent(model.id)}`, model);
  }

  /** Opens an account, or finds the one of an earlier run: account and key follow from the id. */
  async openAccount(id: string, starter: boolean): Promise<{ account: string; apiKey: string }> {
    const call = this.#call("POST", "/admin/accounts", { id, name: id, starter });
    const { account, api_key: apiKey, notice } = opened.parse(await call);
    if (apiKey === null) throw new Error(`There is no key for the account ${id}: ${notice}`);
    return { account, apiKey };
  }

  async #call(method: string, path: string, body: object): Promise<unknown> {
    const response = await fetch(`${this.#url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#adminKey}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
    return await response.json();
  }
}
